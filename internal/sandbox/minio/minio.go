// Package minio runs MinIO on 127.0.0.1: an independent S3 server that enforces IAM
// policies with their conditions. It shows in practice what the oracle only says about our
// documents, and how common clients work with them.
//
// MinIO and the clients are processes of the tests, built by `make test-s3` into
// .tools/bin; nothing of them is linked or shipped.
package minio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Region of every bucket.
const Region = "us-east-1"

// Server is a MinIO that runs until it is closed.
type Server struct {
	Endpoint string
	Root     Key // may do everything

	tools   string
	dir     string
	command *exec.Cmd
	out     strings.Builder
	ended   chan struct{}
}

// Key is an access key.
type Key struct {
	ID, Secret string
}

// User is a key with its policy.
type User struct {
	Key
	Document string
}

// Start starts an empty server. Root is the directory of the checkout.
func Start(ctx context.Context, root string) (*Server, error) {
	tools, err := filepath.Abs(filepath.Join(root, ".tools/bin"))
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &Server{Endpoint: "http://" + address, Root: Key{"administrator", "of-a-minio-that-ends-with-its-test"}, tools: tools, ended: make(chan struct{})}
	if s.dir, err = os.MkdirTemp("", "cloney-minio-"); err != nil {
		return nil, err
	}
	s.command = exec.CommandContext(ctx, s.Tool("minio"), "server", "--quiet", "--address", address, s.dir)
	s.command.Env = append(s.env(), "HOME="+s.dir, "MINIO_BROWSER=off", "MINIO_UPDATE=off")
	s.command.Stdout, s.command.Stderr = &s.out, &s.out
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("%w: make test-s3 builds it", err)
	}
	go func() {
		_ = s.command.Wait()
		close(s.ended)
	}()
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// freeAddress returns an address on which nobody listens now.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// Tool returns the path of a program that make has built.
func (s *Server) Tool(name string) string { return filepath.Join(s.tools, name) }

func (s *Server) env() []string {
	return []string{"MINIO_ROOT_USER=" + s.Root.ID, "MINIO_ROOT_PASSWORD=" + s.Root.Secret}
}

// ready waits until the server accepts requests and knows its users. The server's other
// health checks succeed too early.
func (s *Server) ready(ctx context.Context) error {
	for {
		answer, err := http.Get(s.Endpoint + "/minio/health/cluster")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.ended:
			return fmt.Errorf("MinIO ended; it printed:\n%s", s.out.String())
		case <-ctx.Done():
			return fmt.Errorf("MinIO is not ready: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Close ends the server and removes what it stored.
func (s *Server) Close() error {
	_ = s.command.Process.Kill()
	<-s.ended
	return os.RemoveAll(s.dir)
}

// Add creates users, each with only its own policy.
func (s *Server) Add(ctx context.Context, users ...User) error {
	type entry struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Document        json.RawMessage
	}
	var entries []entry
	for _, u := range users {
		entries = append(entries, entry{u.ID, u.Secret, json.RawMessage(u.Document)})
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, s.Tool("minioadmin"), strings.TrimPrefix(s.Endpoint, "http://"))
	command.Env = s.env()
	command.Stdin = strings.NewReader(string(text))
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("making users of MinIO: %w: %s", err, out)
	}
	return nil
}

// Client returns a client with that key.
func (s *Server) Client(key Key) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.Endpoint),
		Region:       Region,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	})
}
