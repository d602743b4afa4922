package notice

import (
	"encoding/json"
	"time"
)

// detail is the detail of the event, with the names of the contract.
type detail struct {
	ID                string    `json:"id"`
	StackID           string    `json:"stackId"`
	LogicalID         string    `json:"logicalId"`
	UserName          string    `json:"userName"`
	SecretName        string    `json:"secretName"`
	SecretARN         string    `json:"secretArn"`
	AccessKeyID       string    `json:"accessKeyId"`
	FormerAccessKeyID string    `json:"formerAccessKeyId,omitempty"`
	LastUsed          *lastUsed `json:"lastUsed,omitempty"`
	RetireAfter       string    `json:"retireAfter,omitempty"`
	Reason            string    `json:"reason,omitempty"`
	Next              string    `json:"next"`
}

type lastUsed struct {
	Time    string `json:"time"`
	Service string `json:"service"`
	Region  string `json:"region"`
}

// Detail returns the detail of the event, a JSON object. Each text in it is cut, so that
// it is far smaller than the limit of EventBridge, 256 KB for an entry.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
func (n Notice) Detail() []byte {
	d := detail{
		ID: name(n.ID), StackID: name(n.StackID), LogicalID: name(n.LogicalID), UserName: name(n.UserName),
		SecretName: name(n.SecretName), SecretARN: name(n.SecretARN), AccessKeyID: name(n.AccessKeyID),
		FormerAccessKeyID: name(n.FormerAccessKeyID), Reason: sentence(n.Reason), Next: sentence(n.next()),
	}
	if use := n.LastUse; !use.Time.IsZero() {
		d.LastUsed = &lastUsed{Time: moment(use.Time), Service: name(use.Service), Region: name(use.Region)}
	}
	if !n.RetireAfter.IsZero() {
		d.RetireAfter = moment(n.RetireAfter)
	}
	// Marshaling strings cannot fail.
	text, _ := json.Marshal(d)
	return text
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }
