// This judges by an independent IAM evaluator: @cloud-copilot/iam-simulate
// (AGPL-3.0; a process of its own at test time, never linked and never shipped).
//
// stdin:  a line of JSON for each request: {"identity": [policy …], "boundary",
//         "control", "resource": policy or null, "principal", "action", "arn",
//         "context": {key: [value …]}, "many": [key …]}
// stdout: a line for each: Allowed, ExplicitlyDenied or ImplicitlyDenied
//
// "many" names the context keys that hold lists, even short ones.
import { runSimulation, runUnsafeSimulation } from "@cloud-copilot/iam-simulate";
import { createInterface } from "node:readline";

const named = (policies) => policies.filter(Boolean).map((policy, i) => ({ name: `policy-${i}`, policy }));

// KMS reads an account's policies only if the key's own policy says so. This is
// the default policy of a key.
const keyPolicy = (principal) => ({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { AWS: `arn:aws:iam::${principal.split(":")[4]}:root` }, Action: "kms:*", Resource: "*" }],
});

// The answers are written when all questions that have come are answered, because
// a write for each takes as long as the decision.
let answers = "";
const answer = (text) => {
  if (!answers) {
    setImmediate(() => {
      process.stdout.write(answers);
      answers = "";
    });
  }
  answers += text + "\n";
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const contextVariables = {};
  for (const [key, values] of Object.entries(asked.context)) {
    contextVariables[key] = asked.many.includes(key) ? values : values[0];
  }
  const simulation = {
    request: {
      principal: asked.principal,
      action: asked.action,
      resource: { resource: asked.arn, accountId: asked.principal.split(":")[4] },
      contextVariables,
    },
    identityPolicies: named(asked.identity),
    permissionBoundaryPolicies: asked.boundary ? named([asked.boundary]) : undefined,
    serviceControlPolicies: asked.control ? [{ orgIdentifier: "o-1", policies: named([asked.control]) }] : [],
    resourceControlPolicies: [],
    resourcePolicy: asked.resource ?? (asked.action.startsWith("kms:") ? keyPolicy(asked.principal) : undefined),
  };
  // The evaluator without checks is faster, and accepts any key with any action,
  // but fails for resource policies.
  if (!simulation.resourcePolicy) {
    answer(runUnsafeSimulation(simulation));
    continue;
  }
  const result = await runSimulation(simulation, {});
  answer(result.resultType === "error" ? JSON.stringify(result.errors) : result.overallResult);
}
