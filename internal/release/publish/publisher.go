package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/release/published"
)

// publisher carries out a plan.
type publisher struct {
	plan
	cfg      aws.Config
	template func(context.Context, published.Release) ([]byte, error)
	dir      string // where the published template is written
	out      io.Writer
}

// placed is an object and a bucket that gets it, unless it has it already.
type placed struct {
	bucket bucket
	object object
	there  bool
}

// publish checks everything everywhere, and then writes what is missing.
func (p publisher) publish(ctx context.Context) error {
	account, err := p.account(ctx)
	if err != nil {
		return err
	}
	release := published.Release{Version: p.version, Commit: p.commit, Account: account, Prefix: p.prefix, Zips: published.Checksums(p.zips)}
	template, err := p.template(ctx, release)
	if err != nil {
		return err
	}
	all, err := p.look(ctx, account, objects(release, p.zips, template))
	if err != nil {
		return err
	}
	for _, one := range all {
		did, err := p.put(ctx, one)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.out, "%-15s %-13s s3://%s/%s\n", one.bucket.region, did, one.bucket.name, one.object.key)
	}
	return p.write(release, template)
}

// account is the account of the credentials. The buckets must be in it. The call needs
// no permission.
func (p publisher) account(ctx context.Context) (string, error) {
	out, err := sts.NewFromConfig(p.cfg, func(o *sts.Options) { o.Region = p.regions[0] }).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("asking AWS whose credentials these are: %w", err)
	}
	return aws.ToString(out.Account), nil
}

// look checks each bucket, and looks for each object in it. It reports everything that
// is wrong at once. It returns the objects in the order in which they are written: each
// zip is everywhere before a template names it.
func (p publisher) look(ctx context.Context, account string, objects []object) ([]placed, error) {
	var buckets []bucket
	var wrong []error
	for _, region := range p.regions {
		b := newBucket(p.cfg, p.prefix, account, region)
		buckets, wrong = append(buckets, b), append(wrong, b.check(ctx))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	var all []placed
	for _, o := range objects {
		for _, b := range buckets {
			there, err := b.has(ctx, o)
			all, wrong = append(all, placed{b, o, there}), append(wrong, err)
		}
	}
	return all, errors.Join(wrong...)
}

func (p publisher) put(ctx context.Context, one placed) (did string, err error) {
	switch {
	case one.there:
		return "there already", nil
	case p.dryRun:
		return "would upload", nil
	}
	return "uploaded", one.bucket.put(ctx, one.object)
}

// write writes the template into the checkout, for the commands that deploy it. The
// file gets its name when it is complete. It is written last: where it exists, the
// release is in every bucket.
func (p publisher) write(r published.Release, template []byte) error {
	file := filepath.Join(p.dir, "provider-"+p.version+".yaml")
	did := "would write"
	if !p.dryRun {
		did = "wrote"
		if err := os.MkdirAll(p.dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file+".part", template, 0o644); err != nil {
			return err
		}
		if err := os.Rename(file+".part", file); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.out, "%s %s: %d bytes, version %s\n", did, file, len(template), p.version)
	for _, code := range published.Codes() {
		fmt.Fprintf(p.out, "SHA-256 of %s for %s: %v\n", code.Function, code.Architecture, r.Zips[code])
	}
	return nil
}
