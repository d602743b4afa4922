package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"cloney-s3-credentials/internal/screen"
)

// operator is somebody who may verify a credential, and nothing else: these are the
// rights that `make verify` needs, as docs/operations.md says.
const (
	operator       = "demo-operator"
	operatorRights = `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Resource": "*", "Action": [
		"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue",
		"iam:GetUser", "iam:ListAccessKeys", "iam:ListAttachedUserPolicies", "iam:GetPolicy", "iam:GetPolicyVersion"]}}`
)

// verify verifies a credential that exists, as the operator.
func (d *demo) verify(ctx context.Context) (result string, err error) {
	key, err := d.createOperator(ctx)
	if err != nil {
		return "", err
	}
	secret := d.keys["SourceSecretName"]
	d.screen.Line(screen.Plain, "  $ ", "make verify SECRET="+secret)
	d.screen.Doing("the key is used as Cloney will use it")
	command := exec.CommandContext(ctx, ".tools/bin/inspect", "verify", secret)
	command.Env = append(d.s.Env(), "AWS_ACCESS_KEY_ID="+key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+key.SecretAccessKey,
		"COLUMNS="+strconv.Itoa(d.screen.Width-len("  ")))
	printed, err := command.CombinedOutput()
	for line := range strings.Lines(string(printed)) {
		d.screen.Line(screen.Plain, "  "+strings.TrimRight(line, "\n"), "")
	}
	if err != nil {
		return "", fmt.Errorf("make verify: %w", err)
	}
	if strings.Contains(string(printed), d.held["source"].SecretAccessKey) {
		return "", fmt.Errorf("make verify has printed the secret half of the key")
	}
	return "proven with rights to read alone, and nothing is changed", d.deleteOperator(ctx, key)
}

func (d *demo) createOperator(ctx context.Context) (key stored, err error) {
	policy := d.profile + "-operator"
	if err := os.WriteFile(policy, []byte(operatorRights), 0o600); err != nil {
		return key, err
	}
	if err := d.administer(ctx, "iam create-user --user-name "+operator,
		"iam put-user-policy --user-name "+operator+" --policy-name verify --policy-document file://"+policy); err != nil {
		return key, err
	}
	created, err := d.s.AWS(ctx, "iam", "create-access-key", "--user-name", operator, "--query", "AccessKey")
	if err != nil {
		return key, err
	}
	return key, json.Unmarshal([]byte(created), &key)
}

func (d *demo) deleteOperator(ctx context.Context, key stored) error {
	return d.administer(ctx, "iam delete-access-key --user-name "+operator+" --access-key-id "+key.AccessKeyID,
		"iam delete-user-policy --user-name "+operator+" --policy-name verify", "iam delete-user --user-name "+operator)
}

// administer runs commands of the AWS CLI as the administrator, one after the other.
func (d *demo) administer(ctx context.Context, commands ...string) error {
	for _, command := range commands {
		if _, err := d.s.AWS(ctx, strings.Fields(command)...); err != nil {
			return err
		}
	}
	return nil
}
