package confinement

import (
	"encoding/json"
	"maps"
	"strings"
)

// secretRequest is the part of a request to Secrets Manager that policies depend on.
type secretRequest struct {
	Name, SecretId, KmsKeyId, VersionId, VersionStage string
	RotationLambdaARN                                 string
	ForceDeleteWithoutRecovery, BlockPublicPolicy     *bool
	RotateImmediately                                 *bool
	Tags                                              []struct{ Key, Value string }
	TagKeys                                           []string
}

func (s secretRequest) tags() map[string]string {
	tags := map[string]string{}
	for _, t := range s.Tags {
		tags[t.Key] = t.Value
	}
	return tags
}

// ofSecrets are the operations that need the action of the same name on the secret, with
// the uses of its KMS key: Secrets Manager uses a customer managed key in the caller's
// name. Its own key is open to everybody who may use the secret.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
var ofSecrets = map[string][]string{
	"CancelRotateSecret":       nil,
	"CreateSecret":             {"kms:GenerateDataKey", "kms:Decrypt"},
	"DeleteResourcePolicy":     nil,
	"DeleteSecret":             nil,
	"DescribeSecret":           nil,
	"GetResourcePolicy":        nil,
	"GetSecretValue":           {"kms:Decrypt"},
	"PutResourcePolicy":        nil,
	"PutSecretValue":           {"kms:GenerateDataKey", "kms:Decrypt"},
	"RestoreSecret":            nil,
	"RotateSecret":             nil,
	"TagResource":              nil,
	"UntagResource":            nil,
	"UpdateSecret":             {"kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt"},
	"UpdateSecretVersionStage": nil,
}

func (w *wire) secretsManager() {
	if w.operation == "ListSecrets" {
		w.needs("secretsmanager:ListSecrets", "*")
		return
	}
	keyUses, known := ofSecrets[w.operation]
	if !known {
		w.refuse("secretsmanager %s", w.operation)
		return
	}
	s, name := w.secret, w.secret.SecretId+w.secret.Name
	if w.isDeleted(name) {
		return
	}
	found := w.secrets[name]
	context := with(RequestTags(s.tags()), "secretsmanager:VersionId", s.VersionId)
	with(context, "secretsmanager:VersionStage", s.VersionStage)
	with(context, "secretsmanager:ForceDeleteWithoutRecovery", truth(s.ForceDeleteWithoutRecovery))
	with(context, "secretsmanager:BlockPublicPolicy", truth(s.BlockPublicPolicy))
	with(context, "secretsmanager:Name", s.Name)
	with(context, "secretsmanager:RotationLambdaARN", s.RotationLambdaARN)
	with(context, "secretsmanager:RotateImmediately", truth(s.RotateImmediately))
	if len(s.TagKeys) > 0 {
		context["aws:TagKeys"] = s.TagKeys
	}
	tags := w.tagsOf(found)
	if w.operation == "CreateSecret" {
		// The tags in the request already count as the secret's own, so that a policy with
		// conditions on them allows the call.
		// https://docs.aws.amazon.com/IAM/latest/UserGuide/tutorial_attribute-based-access-control.html
		tags = ResourceTags(s.tags())
	}
	w.needs("secretsmanager:"+w.operation, w.secretARN(name), context, tags)
	if w.operation == "CreateSecret" && len(s.Tags) > 0 {
		w.needs("secretsmanager:TagResource", w.secretARN(name), RequestTags(s.tags()), tags)
	}
	if w.operation == "RotateSecret" && s.RotationLambdaARN != "" {
		// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
		w.needs("lambda:InvokeFunction", s.RotationLambdaARN)
	}
	key := s.KmsKeyId
	if key == "" && found != nil {
		key = found.key
	}
	if key != "" && key != "alias/aws/secretsmanager" {
		for _, use := range keyUses {
			w.needs(use, w.keyARN(key), ViaService("secretsmanager", w.Place))
		}
	}
	if w.ok {
		w.learnSecret(name)
	}
}

// ViaService returns the condition key of a use of KMS by a service for its caller.
func ViaService(service string, p Place) map[string][]string {
	return map[string][]string{"kms:ViaService": {service + "." + p.Region + "." + p.Suffix()}}
}

// keyARN is the ARN on which KMS decides, whatever name the request has for the key.
func (w *wire) keyARN(key string) string {
	if strings.HasPrefix(key, "arn:") && strings.Contains(key, ":key/") {
		return key
	}
	return w.Place.KeyARN()
}

// secretARN is the ARN on which Secrets Manager decides. A secret that does not exist has
// no six characters at its end.
func (w *wire) secretARN(name string) string {
	if s := w.secrets[name]; s != nil && s.arn != "" {
		return s.arn
	}
	return w.Place.RegionalARN("secretsmanager", "secret:"+name)
}

func truth(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "true"
	}
	return "false"
}

// learnSecret records what an accepted operation shows and changes.
func (w *wire) learnSecret(name string) {
	var a struct {
		ARN, KmsKeyId string
		Tags          []struct{ Key, Value string }
	}
	if len(w.answer) > 0 {
		if err := json.Unmarshal(w.answer, &a); err != nil {
			w.refuse("an answer to %s: %v", w.operation, err)
		}
	}
	if w.secrets[name] == nil {
		w.secrets[name] = &entity{tags: map[string]string{}}
	}
	s := w.secrets[name]
	if a.ARN != "" {
		s.arn = a.ARN
	}
	switch w.operation {
	case "CreateSecret":
		delete(w.deleted, name)
		s.tags, s.key = w.secret.tags(), w.secret.KmsKeyId
	case "DescribeSecret":
		delete(w.deleted, name)
		s.tags, s.key = secretRequest{Tags: a.Tags}.tags(), a.KmsKeyId
	case "UpdateSecret":
		s.key = w.secret.KmsKeyId
	case "TagResource", "UntagResource":
		s.tags = maps.Clone(s.tags)
		maps.Copy(s.tags, w.secret.tags())
		for _, key := range w.secret.TagKeys {
			delete(s.tags, key)
		}
	case "DeleteSecret":
		delete(w.secrets, name)
		w.deleted[name] = true
	}
}
