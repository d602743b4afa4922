// This judges by an independent IAM evaluator: @cloud-copilot/iam-simulate
// (AGPL-3.0; a process of its own at test time, never linked and never shipped).
// It refuses actions, resources and condition keys that AWS's service
// authorization reference does not know for each other.
//
// stdin:  a line of JSON for each request: {"identity": [policy …], "boundary",
//         "control": policy or null, "resource": policy or null, "principal",
//         "owner": account of the resource, "action", "arn",
//         "context": {key: [value …]}}
// stdout: a line of JSON for each: {"outcome", "ignored": [key …]}
import { runSimulation } from "@cloud-copilot/iam-simulate";
import { createInterface } from "node:readline";

const named = (policies) => policies.filter(Boolean).map((policy, i) => ({ name: `policy-${i}`, policy }));

// KMS reads an account's policies only if the key's own policy says so. This is
// the default policy of a key.
const keyPolicy = (partition, account) => ({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { AWS: `arn:${partition}:iam::${account}:root` }, Action: "kms:*", Resource: "*" }],
});

// The answers are written at the end, because a write for each takes as long as
// the decision.
let answers = "";
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const [, partition, , , account] = asked.principal.split(":");
  const contextVariables = {};
  for (const [key, values] of Object.entries(asked.context)) {
    contextVariables[key] = key === "aws:TagKeys" ? values : values[0];
  }
  const result = await runSimulation(
    {
      request: { principal: asked.principal, action: asked.action, resource: { resource: asked.arn, accountId: asked.owner || account }, contextVariables },
      identityPolicies: named(asked.identity),
      permissionBoundaryPolicies: asked.boundary ? named([asked.boundary]) : undefined,
      serviceControlPolicies: asked.control ? [{ orgIdentifier: "root", policies: named([asked.control]) }] : [],
      resourceControlPolicies: [],
      resourcePolicy: asked.resource ?? (asked.action.startsWith("kms:") ? keyPolicy(partition, account) : undefined),
    },
    {},
  );
  const outcome = result.resultType === "error" ? JSON.stringify(result.errors) : result.overallResult;
  answers += JSON.stringify({ outcome, ignored: result.result?.ignoredContextKeys ?? [] }) + "\n";
}
process.stdout.write(answers);
