package confinement_test

import (
	"encoding/json"
	"fmt"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/edge/edgetest"
)

// answers is an AWS that holds what the steps read, with something of each kind attached to
// the user by hand. That KMS key encrypts the secret.
func answers(p confinement.Place, secretsKey string) func(edgetest.Call, int) edgetest.Answer {
	return func(call edgetest.Call, n int) edgetest.Answer {
		if call.Form == nil || call.Operation == "" {
			return secretAnswer(p, secretsKey, call, n)
		}
		return iamAnswer(p, call, n)
	}
}

func iamAnswer(p confinement.Place, call edgetest.Call, n int) edgetest.Answer {
	arn := p.ARN("policy/cloney/" + p.Region + "/" + user + "-1")
	success := func(result string) edgetest.Answer { return edgetest.Query(call.Operation, result) }
	switch call.Operation {
	case "GetCallerIdentity":
		return success("<Arn>" + p.ARN("user/cloney/"+p.Region+"/"+user) + "</Arn><Account>" + p.Account + "</Account>")
	case "GetUser":
		if call.Form.Get("UserName") == foreignUser {
			return success("<User><UserId>AIDAX</UserId><UserName>" + foreignUser + "</UserName><Arn>" + p.ARN("user/"+foreignUser) + "</Arn></User>")
		}
		if n == 1 {
			return edgetest.QueryError(404, "NoSuchEntity", "x")
		}
		return success("<User><UserId>AIDAX</UserId><UserName>" + user + "</UserName><Arn>" + p.ARN("user/cloney/"+p.Region+"/"+user) + "</Arn>" + tagXML(p) + "</User>")
	case "ListUsers":
		return success("<Users><member><UserName>" + user + "</UserName><UserId>AIDAX</UserId><CreateDate>2026-01-01T00:00:00Z</CreateDate></member></Users>")
	case "ListPolicies":
		return success("<Policies><member><PolicyName>" + user + "-1</PolicyName><DefaultVersionId>v1</DefaultVersionId></member></Policies>")
	case "DescribeStackResource":
		return success("<StackResourceDetail><ResourceStatus>CREATE_COMPLETE</ResourceStatus></StackResourceDetail>")
	case "Publish":
		return success("<MessageId>x</MessageId>")
	case "CreateUser":
		return success("<User><UserId>AIDAX</UserId><UserName>" + user + "</UserName><Arn>" + p.ARN("user/cloney/"+p.Region+"/"+user) + "</Arn></User>")
	case "CreatePolicy":
		return success("<Policy><Arn>" + arn + "</Arn></Policy>")
	case "GetPolicy":
		return success("<Policy><Arn>" + arn + "</Arn><DefaultVersionId>v1</DefaultVersionId>" + tagXML(p) + "</Policy>")
	case "GetPolicyVersion":
		return success("<PolicyVersion><Document>{}</Document></PolicyVersion>")
	case "CreatePolicyVersion":
		if n == 1 {
			return edgetest.QueryError(409, "LimitExceeded", "x")
		}
	case "ListPolicyVersions":
		return success("<Versions><member><VersionId>v1</VersionId><IsDefaultVersion>false</IsDefaultVersion></member></Versions>")
	case "CreateAccessKey":
		return success("<AccessKey><UserName>" + user + "</UserName><AccessKeyId>AKIAISSUED</AccessKeyId><SecretAccessKey>x</SecretAccessKey></AccessKey>")
	case "DeleteUser":
		return edgetest.QueryError(409, "DeleteConflict", "x") // it is in a group
	case "DeletePolicy":
		if n == 1 {
			return edgetest.QueryError(409, "DeleteConflict", "x")
		}
	case "ListGroupsForUser":
		return success("<Groups><member><GroupName>people</GroupName><Arn>" + p.ARN("group/by-hand/people") + "</Arn></member></Groups>")
	}
	return success(byHand[call.Operation])
}

// byHand is what somebody attached to the user by hand.
var byHand = map[string]string{
	"ListAccessKeys":                 "<AccessKeyMetadata><member><AccessKeyId>AKIAISSUED</AccessKeyId><Status>Active</Status><CreateDate>2026-01-01T00:00:00Z</CreateDate></member></AccessKeyMetadata>",
	"GetAccessKeyLastUsed":           "<AccessKeyLastUsed><ServiceName>N/A</ServiceName><Region>N/A</Region></AccessKeyLastUsed>",
	"ListAttachedUserPolicies":       "<AttachedPolicies><member><PolicyArn>arn:aws:iam::aws:policy/ReadOnlyAccess</PolicyArn></member></AttachedPolicies>",
	"ListUserPolicies":               "<PolicyNames><member>inline</member></PolicyNames>",
	"ListMFADevices":                 "<MFADevices><member><SerialNumber>x</SerialNumber></member></MFADevices>",
	"ListServiceSpecificCredentials": "<ServiceSpecificCredentials><member><ServiceSpecificCredentialId>x</ServiceSpecificCredentialId></member></ServiceSpecificCredentials>",
	"ListSigningCertificates":        "<Certificates><member><CertificateId>x</CertificateId></member></Certificates>",
	"ListSSHPublicKeys":              "<SSHPublicKeys><member><SSHPublicKeyId>x</SSHPublicKeyId></member></SSHPublicKeys>",
}

func tagXML(p confinement.Place) string {
	text := ""
	for key, value := range owned(p) {
		text += "<member><Key>" + key + "</Key><Value>" + value + "</Value></member>"
	}
	return "<Tags>" + text + "</Tags>"
}

func secretAnswer(p confinement.Place, secretsKey string, call edgetest.Call, n int) edgetest.Answer {
	var asked struct{ Name, SecretId string }
	if err := json.Unmarshal([]byte(call.JSON), &asked); err != nil {
		panic(err)
	}
	described := map[string]any{"ARN": secretARN(p, asked.Name+asked.SecretId), "Name": asked.Name + asked.SecretId}
	switch call.Operation {
	case "PutEvents":
		return edgetest.JSON(`{"FailedEntryCount": 0, "Entries": [{"EventId": "x"}]}`)
	case "ListSecrets":
		return edgetest.JSON(`{"SecretList": []}`)
	case "DescribeSecret":
		if asked.SecretId == secret {
			if n == 1 {
				return edgetest.JSONError(400, "ResourceNotFoundException", "x")
			}
			var tags []any
			for key, value := range owned(p) {
				tags = append(tags, map[string]string{"Key": key, "Value": value})
			}
			described["Tags"], described["KmsKeyId"] = tags, secretsKey
			described["VersionIdsToStages"] = map[string]any{"token": []string{"AWSCURRENT"}}
		}
	case "GetSecretValue":
		described["SecretString"] = "x"
	case "UpdateSecretVersionStage":
		// An attempt with a lost answer has moved the label.
		if n == 1 {
			return edgetest.JSONError(400, "InvalidParameterException", "x")
		}
	}
	text, err := json.Marshal(described)
	if err != nil {
		panic(err)
	}
	return edgetest.JSON(string(text))
}

// secretARN is the ARN that Secrets Manager gives to a secret.
func secretARN(p confinement.Place, name string) string {
	return p.RegionalARN("secretsmanager", fmt.Sprintf("secret:%s-a1B2c3", name))
}
