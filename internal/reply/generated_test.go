package reply_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/reply"
)

// places are AWS's regions, each with all hosts at which CloudFormation keeps
// the bucket for responses. Written out, not computed: what is true stands here.
var places = map[name.Stack][]string{}

func init() {
	for _, line := range []string{
		// partition, domain, and its regions
		`aws amazonaws.com af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2
			ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1
			ca-west-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1
			me-central-1 me-south-1 me-west-1 mx-central-1 sa-east-1 sa-west-1 us-east-1 us-east-2 us-west-1 us-west-2`,
		`aws-cn amazonaws.com.cn cn-north-1 cn-northwest-1`,
		`aws-eusc amazonaws.eu eusc-de-east-1`,
		`aws-iso c2s.ic.gov us-iso-east-1 us-iso-west-1`,
		`aws-iso-b sc2s.sgov.gov us-isob-east-1 us-isob-west-1`,
		`aws-iso-e cloud.adc-e.uk eu-isoe-west-1`,
		`aws-iso-f csp.hci.ic.gov us-isof-east-1 us-isof-south-1`,
		`aws-us-gov amazonaws.com us-gov-east-1 us-gov-west-1`,
	} {
		words := strings.Fields(line)
		for _, region := range words[2:] {
			start := "cloudformation-custom-resource-response-" + strings.Join(strings.Split(region, "-"), "")
			places[name.Stack{Partition: words[0], Region: region}] = []string{start + ".s3." + region + "." + words[1], start + ".s3-" + region + "." + words[1]}
		}
	}
	virginia := name.Stack{Partition: "aws", Region: "us-east-1"}
	places[virginia] = append(places[virginia], "cloudformation-custom-resource-response-useast1.s3.amazonaws.com")
}

// isTrue is the oracle: a true URL is https, a host of the stack's own place,
// and a path, letter for letter. No parser is asked.
func isTrue(url string, stack name.Stack) bool {
	return slices.ContainsFunc(places[stack], func(host string) bool {
		path, ok := strings.CutPrefix(url, "https://"+host+"/")
		return ok && !strings.ContainsAny(path, "#\x00\n\r\t ")
	})
}

// changes are what someone would try who wants the answer elsewhere. Each gets
// a true URL, cut behind its host, and the hosts of all places.
var changes = map[string]func(r *rand.Rand, host, path string, all []string) string{
	"untouched": func(_ *rand.Rand, host, path string, _ []string) string { return "https://" + host + path },
	"another path": func(r *rand.Rand, host, _ string, _ []string) string {
		return "https://" + host + "/" + letters(r, r.IntN(80))
	},
	"another place": func(r *rand.Rand, _, path string, all []string) string {
		return "https://" + all[r.IntN(len(all))] + path
	},
	"another scheme": func(r *rand.Rand, host, path string, _ []string) string {
		return one(r, "http", "ftp", "ws", "s3", "", "HTTPS", "httpss", " https", "javascript") + one(r, "://", ":", "//", ":/", ":///", `:\\`) + host + path
	},
	"a user": func(r *rand.Rand, host, path string, _ []string) string {
		return "https://" + one(r, "u@", "u:p@", "@", ":@", "evil.example@", "%40@") + host + path
	},
	"the host as a user": func(r *rand.Rand, host, path string, _ []string) string {
		return "https://" + host + one(r, "@", ":443@", ":p@", `\@`, "%00@", "#@", "?@", "/@", ";@") + "evil.example" + path
	},
	"a port": func(r *rand.Rand, host, path string, _ []string) string {
		return "https://" + host + one(r, ":443", ":80", ":", ":0", ":8443", ":443:443", ":x") + path
	},
	"a longer end": func(r *rand.Rand, host, path string, _ []string) string {
		return "https://" + host + one(r, ".", ".evil.example", "-evil.example", "evil.example", ".cn", ".s3.amazonaws.com", "%2e", "%2f.evil.example", "\u3002", ",evil", ";") + path
	},
	"a longer beginning": func(r *rand.Rand, host, path string, _ []string) string {
		return "https://" + one(r, "x.", "x", "evil.example/", "evil.example?", "evil.example#", `evil.example\`, "[::1]", "-", ".", "%20", " ") + host + path
	},
	"another label": func(r *rand.Rand, host, path string, _ []string) string {
		labels := strings.Split(host, ".")
		labels[r.IntN(len(labels))] = one(r, "", "s3", "s3-website", "s3.dualstack", "s3-fips", "evil", "com", "amazonaws", "us-east-1", letters(r, 6))
		return "https://" + strings.Join(labels, ".") + path
	},
	"another bucket": func(r *rand.Rand, host, path string, _ []string) string {
		_, service, _ := strings.Cut(host, ".")
		return "https://" + one(r, "my-bucket", "cloudformation-custom-resource-response", "cloudformation-custom-resource-response-", "cloudformation-custom-resource-storage-useast1", letters(r, 12)) + "." + service + path
	},
	"path style": func(_ *rand.Rand, host, path string, _ []string) string {
		bucket, service, _ := strings.Cut(host, ".")
		return "https://" + service + "/" + bucket + path
	},
	"capitals": func(r *rand.Rand, host, path string, _ []string) string {
		at := r.IntN(len(host))
		return "https://" + host[:at] + strings.ToUpper(host[at:]) + path
	},
	"a character more": func(r *rand.Rand, host, path string, _ []string) string {
		at := r.IntN(len(host) + 1)
		return "https://" + host[:at] + one(r, "a", "1", "-", ".", "_", "%", "@", ":", "/", `\`, "?", "#", " ", "\t", "\n", "\x00", "\u00e9", "\u200b", "\xff") + host[at:] + path
	},
	"a character less": func(r *rand.Rand, host, path string, _ []string) string {
		at := r.IntN(len(host))
		return "https://" + host[:at] + host[at+1:] + path
	},
	"two characters swapped": func(r *rand.Rand, host, path string, _ []string) string {
		b, at := []byte(host), r.IntN(len(host)-1)
		b[at], b[at+1] = b[at+1], b[at]
		return "https://" + string(b) + path
	},
	"a character escaped": func(r *rand.Rand, host, path string, _ []string) string {
		at := r.IntN(len(host))
		return "https://" + host[:at] + "%" + "0123456789abcdef"[host[at]>>4:][:1] + "0123456789abcdef"[host[at]&15:][:1] + host[at+1:] + path
	},
	"no path": func(r *rand.Rand, host, _ string, _ []string) string {
		return "https://" + host + one(r, "", "?x", "#/", "#")
	},
	"a fragment": func(_ *rand.Rand, host, path string, _ []string) string { return "https://" + host + path + "#x" },
}

func one(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

func letters(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz0123456789-"[r.IntN(37)]
	}
	return string(b)
}

// TestTenThousandURLs: of 10,000 URLs around the true form, of every place, the
// true ones are accepted and no other. The same ones in every run.
func TestTenThousandURLs(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 3))
	var stacks []name.Stack
	var all, kinds []string
	for stack, hosts := range places {
		stacks, all = append(stacks, stack), append(all, hosts...)
	}
	for kind := range changes {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(stacks, func(a, b name.Stack) int { return strings.Compare(a.Region, b.Region) })
	slices.Sort(all)
	slices.Sort(kinds)
	truths := map[string]int{}
	for i := range 10_000 {
		stack, kind := stacks[i%len(stacks)], kinds[r.IntN(len(kinds))]
		url := changes[kind](r, one(r, places[stack]...), signed, all)
		_, err := reply.ParseAddress(url, stack, nil)
		if want := isTrue(url, stack); (err == nil) != want {
			t.Errorf("%s: of a stack in %s, %s: %q: true is %v", kind, stack.Partition, stack.Region, url, want)
		} else if want {
			truths[kind]++
		}
	}
	if truths["untouched"] < 300 || truths["another path"] < 300 || truths["a port"]+truths["a user"]+truths["another label"] > 60 {
		t.Errorf("the mixture is off: %v", truths)
	}
}

// Each true form of each place is accepted from its own stacks, from no others,
// and under no other partition's name.
func TestEveryPlace(t *testing.T) {
	for home, hosts := range places {
		for stack := range places {
			for _, host := range hosts {
				if _, err := reply.ParseAddress("https://"+host+signed, stack, nil); (err == nil) != (stack == home) {
					t.Errorf("of a stack in %s: %s: %v", stack.Region, host, err)
				}
			}
			moved := name.Stack{Partition: stack.Partition, Region: home.Region}
			for _, suffix := range []string{"amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "c2s.ic.gov", "sc2s.sgov.gov", "cloud.adc-e.uk", "csp.hci.ic.gov"} {
				url := bucket + strings.ReplaceAll(home.Region, "-", "") + ".s3." + home.Region + "." + suffix + signed
				if _, err := reply.ParseAddress(url, moved, nil); (err == nil) != isTrue(url, moved) {
					t.Errorf("of a stack in %s under %s: %s: %v", home.Region, stack.Partition, suffix, err)
				}
			}
		}
	}
}
