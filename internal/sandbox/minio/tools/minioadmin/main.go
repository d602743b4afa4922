// Command minioadmin creates users on a MinIO server. It reads from standard input
//
//	[{"AccessKeyId": …, "SecretAccessKey": …, "Document": …}, …]
//
// and creates each user with only that policy. MinIO requires its own encryption of such
// requests, which its client knows. The arguments are the server's host and port. The
// environment holds the administrator's key.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/minio/madmin-go/v3"
)

type user struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Document        json.RawMessage
}

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, host string) error {
	client, err := madmin.New(host, os.Getenv("MINIO_ROOT_USER"), os.Getenv("MINIO_ROOT_PASSWORD"), false)
	if err != nil {
		return err
	}
	var users []user
	if err := json.NewDecoder(os.Stdin).Decode(&users); err != nil {
		return err
	}
	for _, u := range users {
		if err := add(ctx, client, u); err != nil {
			return fmt.Errorf("%s: %w", u.AccessKeyID, err)
		}
	}
	return nil
}

func add(ctx context.Context, client *madmin.AdminClient, u user) error {
	if err := client.AddUser(ctx, u.AccessKeyID, u.SecretAccessKey); err != nil {
		return err
	}
	if err := client.AddCannedPolicy(ctx, u.AccessKeyID, u.Document); err != nil {
		return err
	}
	_, err := client.AttachPolicy(ctx, madmin.PolicyAssociationReq{User: u.AccessKeyID, Policies: []string{u.AccessKeyID}})
	return err
}
