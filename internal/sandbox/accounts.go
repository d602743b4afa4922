package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// adminRole is the role that an organization's management account has in each
// member that it has created.
const adminRole = "OrganizationAccountAccessRole"

// ConfigIn is the SDK's configuration for an administrator of any account, in
// any region.
func (s *Sandbox) ConfigIn(ctx context.Context, account, region string) (aws.Config, error) {
	config := s.Config()
	config.Region = region
	if account == Account {
		return config, nil
	}
	session, err := s.assume(ctx, account)
	if err != nil {
		return aws.Config{}, err
	}
	config.Credentials = credentials.NewStaticCredentialsProvider(*session.AccessKeyId, *session.SecretAccessKey, *session.SessionToken)
	return config, nil
}

func (s *Sandbox) assume(ctx context.Context, account string) (*types.Credentials, error) {
	out, err := sts.NewFromConfig(s.Config()).AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + account + ":role/" + adminRole), RoleSessionName: aws.String("sandbox"),
	})
	if err != nil {
		return nil, fmt.Errorf("becoming an administrator of account %s: %w", account, err)
	}
	return out.Credentials, nil
}

// ownFunctions are the server's arguments for functions in processes of their own.
func (s *Sandbox) ownFunctions() ([]string, error) {
	emulator, err := s.emulatorPath()
	if err != nil {
		return nil, err
	}
	s.functions = filepath.Join(s.build, "functions")
	if err := os.Mkdir(s.functions, 0o755); err != nil {
		return nil, err
	}
	return []string{"--own-functions", emulator, "--functions-directory", s.functions}, nil
}

// FunctionLog is what the functions of an account and region have printed so
// far; nothing, if none has run. It needs Options.OwnFunctions.
func (s *Sandbox) FunctionLog(account, region string) (string, error) {
	directory := filepath.Join(s.functions, account, region)
	entries, err := os.ReadDir(directory)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var printed strings.Builder
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		if err != nil {
			return "", err
		}
		printed.Write(text)
	}
	return printed.String(), nil
}
