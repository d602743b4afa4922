package edge_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/secrets"
	"cloney-s3-credentials/internal/users"
)

func client(cfg aws.Config) *users.Client {
	return users.New(cfg, users.Options{Path: "/cloney/eu-west-1/", Account: func(context.Context) (string, string, error) { return "aws", "123456789012", nil }})
}

// An attempt may have made what the next one finds: "exists already" is no
// refusal then.
func TestAnOutcomeAfterALostAnswerIsInDoubt(t *testing.T) {
	exists := edgetest.QueryError(409, "EntityAlreadyExists", "AWS says why.")
	lost := map[string]edgetest.Answer{
		"connection": {}, "server error": edgetest.QueryError(500, "InternalFailure", "x"), "unavailable": {Status: 503, Body: "<html>"},
		"took too long": edgetest.QueryError(400, "RequestTimeout", "x"),
	}
	for label, answer := range lost {
		for _, times := range []int{1, 3} {
			synctest.Test(t, func(t *testing.T) {
				iam := &edgetest.AWS{Answer: func(_ edgetest.Call, n int) edgetest.Answer {
					if n <= times {
						return answer
					}
					return exists
				}}
				_, err := client(iam.Config(t)).CreateUser(t.Context(), "x", nil)
				if !errors.Is(err, access.ErrExists) || access.Definite(err) || len(iam.Calls()) != times+1 {
					t.Errorf("%s: %v after %d attempts", label, err, len(iam.Calls()))
				} else if !strings.Contains(err.Error(), "AWS says why.") || !strings.Contains(err.Error(), "an earlier attempt") {
					t.Errorf("%s: %v", label, err)
				}
			})
		}
	}
}

// Each call starts without a doubt, and one that worked has none.
func TestADoubtEndsWithItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := &edgetest.AWS{Answer: func(_ edgetest.Call, n int) edgetest.Answer {
			return []edgetest.Answer{{}, edgetest.JSON(`{"ARN": "arn:x"}`), edgetest.JSONError(400, "ResourceExistsException", "x")}[n-1]
		}}
		s := secrets.New(manager.Config(t), secrets.Options{})
		if _, err := s.CreateSecret(t.Context(), "cloney/x", "", "", nil); err != nil {
			t.Error(err)
		}
		if _, err := s.CreateSecret(t.Context(), "cloney/x", "", "", nil); !errors.Is(err, access.ErrExists) || !access.Definite(err) {
			t.Error(err)
		}
	})
}

// What a look found out takes the place of a denial, but not of the doubt.
func TestADenialAfterALostAnswerIsInDoubt(t *testing.T) {
	for _, look := range []edgetest.Answer{edgetest.QueryError(404, "NoSuchEntity", "x"), edgetest.QueryError(400, "Throttling", "x"), edgetest.QueryError(403, "AccessDenied", "x")} {
		synctest.Test(t, func(t *testing.T) {
			iam := &edgetest.AWS{Answer: func(call edgetest.Call, n int) edgetest.Answer {
				switch {
				case call.Operation == "GetUser":
					return look
				case n == 1:
					return edgetest.Answer{}
				}
				return edgetest.QueryError(403, "AccessDenied", "x")
			}}
			if err := client(iam.Config(t)).AttachPolicy(t.Context(), "x", "x-1"); err == nil || access.Definite(err) {
				t.Error(err)
			}
		})
	}
}

// An attempt that hangs is AWS's, not the event's, end of time.
func TestAnAttemptThatHangs(t *testing.T) {
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	half := http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		to.WriteHeader(http.StatusOK)
		to.(http.Flusher).Flush()
		hang(to, r)
	})
	for label, handler := range map[string]http.Handler{"at once": hang, "within the answer": half} {
		synctest.Test(t, func(t *testing.T) {
			cfg, _ := new(edgetest.AWS).OverWire(t, handler)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			_, err := client(cfg).CreateKey(ctx, "x")
			if err == nil || errors.Is(err, context.DeadlineExceeded) || access.Definite(err) || ctx.Err() != nil {
				t.Errorf("%s: %v", label, err)
			} else if !strings.Contains(err.Error(), "no clear answer from AWS: ") || !strings.Contains(err.Error(), "AWS did not answer within 15s") {
				t.Errorf("%s: the sentence is %v", label, err)
			}
		})
		// The event's own end is told as such.
		synctest.Test(t, func(t *testing.T) {
			cfg, _ := new(edgetest.AWS).OverWire(t, handler)
			for _, patience := range []time.Duration{10 * time.Second, 16 * time.Second} {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if _, err := client(cfg).User(ctx, "x"); label == "at once" && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s, after %v: %v", label, patience, err)
				}
			}
		})
	}
}
