package sweep

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/notice"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/policy"
)

// settled is how long what is half-made may be so, before it counts as left behind. The
// longest event takes some minutes.
const settled = time.Hour

// report is what is to be told of one user.
type report struct {
	findings []notice.Notice
	unsure   []string // ids of findings of which it cannot be told whether they stand
}

// atWork reports whether an event is at work on the user: what is seen is not what will
// be, and the next sweep looks again.
func (s seen) atWork() bool { return order.MarksOf(s.user.Tags).AtWork(s.now) }

// report says what is to be told of the user.
func (s seen) report() (r report) {
	young := s.now.Sub(s.created) < settled
	switch {
	case !s.ours && young, !s.finished() && young:
		return r // it is being made
	case !s.ours:
		return report{findings: []notice.Notice{s.untagged()}}
	}
	s.orphans(&r)
	if !s.finished() {
		if len(r.findings) == 0 {
			r.findings = append(r.findings, s.halfMade())
		}
		return r
	}
	s.drift(&r)
	s.aging(&r)
	return r
}

func (s seen) finished() bool { return s.user.Tags[name.TagCompleted] != "" }

// orphans are what nothing leads to any more.
func (s seen) orphans(r *report) {
	gone, other := s.resourceGone(), s.otherUser()
	switch {
	case s.resource == unknown:
		r.unsure = append(r.unsure, gone.ID, other.ID)
	case s.resource == absent:
		r.findings = append(r.findings, gone)
	case s.physical != s.user.Name:
		r.findings = append(r.findings, other)
	}
	// Without a secret each of its keys is unrecorded: that is told once, as such.
	secret, _, _ := s.holding.Current()
	for _, key := range s.holding.Unrecorded() {
		if secret.Name != "" && s.now.Sub(key.Created) >= settled {
			r.findings = append(r.findings, s.unrecorded(key))
		}
	}
}

// drift is what somebody has changed.
func (s seen) drift(r *report) {
	if len(s.others) > 0 {
		r.findings = append(r.findings, s.foreign())
	}
	if len(s.inline) > 0 {
		r.findings = append(r.findings, s.inlined())
	}
	changed := s.changed()
	_, asWritten := policy.Read(s.texts)
	switch {
	case len(s.attached) == 0:
		r.findings = append(r.findings, s.detached())
	case s.texts == nil:
		r.unsure = append(r.unsure, changed.ID)
	case !asWritten:
		r.findings = append(r.findings, changed)
	}
	if !s.user.Boundary.Holds() {
		r.findings = append(r.findings, s.unbounded())
	}
	if current, amiss := s.current(); amiss {
		r.findings = append(r.findings, current)
	}
}

// aging is what becomes of keys with time.
func (s seen) aging(r *report) {
	for _, key := range s.holding.StillInUse() {
		r.findings = append(r.findings, s.stillInUse(key))
	}
	for _, key := range s.holding.Retired() {
		r.findings = append(r.findings, s.retired(key))
	}
	for _, key := range s.holding.Keys {
		if key.Active && s.now.Sub(key.Created) > s.keyAge {
			r.findings = append(r.findings, s.old(key))
		}
	}
}

// finding is a notice about the user. What it is about tells it from the user's other
// ones of its kind.
func (s seen) finding(kind notice.Kind, about, reason, next string) notice.Notice {
	secret, current, _ := s.holding.Current()
	n := notice.Notice{
		Kind: kind, ID: name.Token(string(kind), s.user.ID, about), UserName: s.user.Name,
		SecretName: secret.Name, SecretARN: secret.ARN, AccessKeyID: current.ID, Reason: reason, Next: next,
	}
	if s.ours {
		n.StackID, n.LogicalID = s.owner.Stack.ID, s.owner.Logical
	}
	return n
}

func (s seen) untagged() notice.Notice {
	return s.finding(notice.Orphan, "tags",
		fmt.Sprintf("User %s is on this provider's path, but its tags %s, %s and %s do not say whose it is: somebody has taken them off or changed them, or has made the user by hand", s.user.Name, name.TagStack, name.TagLogical, name.TagPhysical),
		"If it belongs to a stack, put its tags back; if it does not, deactivate its keys, and delete it once nothing fails")
}

func (s seen) halfMade() notice.Notice {
	return s.finding(notice.Orphan, "half-made",
		fmt.Sprintf("User %s was made on %s and never finished: its Create failed or was stopped, and no Delete has taken it away", s.user.Name, date(s.created)),
		"Update or delete its stack; if the stack is gone, delete the user, its policies and its secret by hand")
}

func (s seen) resourceGone() notice.Notice {
	return s.finding(notice.Orphan, "resource",
		fmt.Sprintf("User %s, its keys and its secret are there, but the resource %s or its stack %s is not: it was retained, or its Delete failed or was skipped", s.user.Name, s.owner.Logical, s.owner.Stack.Name),
		"If it was retained on purpose, leave it; if not, "+s.takeAway())
}

func (s seen) otherUser() notice.Notice {
	return s.finding(notice.Orphan, "replaced",
		fmt.Sprintf("User %s says that it is the resource %s of stack %s, but the resource has another user now: this one was replaced, and its Delete failed, was skipped, or is still to come", s.user.Name, s.owner.Logical, s.owner.Stack.Name),
		"If an update of the stack is under way, wait for its end; if none is, "+s.takeAway())
}

// takeAway is how a user is taken away by hand, and nothing fails unseen.
func (s seen) takeAway() string {
	commands := s.commands("aws iam update-access-key --user-name %s --access-key-id %s --status Inactive")
	if commands == "" {
		return "delete the user, its policies and its secret by hand"
	}
	return "deactivate its keys (" + commands + "), and delete the user, its policies and its secret once nothing fails"
}

// commands are those that the format makes, with the user and each active key.
func (s seen) commands(format string) string {
	var commands []string
	for _, key := range s.holding.Keys {
		if key.Active && name.IsUser(s.user.Name) {
			commands = append(commands, fmt.Sprintf(format, s.user.Name, key.ID))
		}
	}
	return strings.Join(commands, "; ")
}

func (s seen) unrecorded(key access.Key) notice.Notice {
	next := fmt.Sprintf("If nobody needs it, deactivate it, and delete it once nothing fails: aws iam update-access-key --user-name %s --access-key-id %s --status Inactive", s.user.Name, key.ID)
	if !key.Active {
		next = fmt.Sprintf("It is inactive; delete it if nobody needs it: aws iam delete-access-key --user-name %s --access-key-id %s", s.user.Name, key.ID)
	}
	return s.finding(notice.Orphan, "key "+key.ID,
		fmt.Sprintf("Access key %s of user %s is in no secret of this provider: somebody has made it by hand or has taken it out of the secret, or a run that was stopped has left it", key.ID, s.user.Name), next)
}

func (s seen) foreign() notice.Notice {
	return s.finding(notice.Drift, "policies "+strings.Join(s.others, " "),
		fmt.Sprintf("Somebody has attached policies to user %s that are not this provider's: %s. They may allow more, or deny what the stack declares", s.user.Name, list(s.others)),
		"Ask who attached them and why; where they are not wanted, detach them from the user in IAM")
}

func (s seen) inlined() notice.Notice {
	return s.finding(notice.Drift, "inline "+strings.Join(s.inline, " "),
		fmt.Sprintf("Somebody has given user %s inline policies: %s. They may allow more, or deny what the stack declares", s.user.Name, list(s.inline)),
		"Ask who wrote them and why; where they are not wanted, delete them from the user in IAM")
}

// rewrite has the provider put right what it has written.
const rewrite = "Update the stack with some change of the resource's properties (a new entry in Tags is enough): the provider then puts it right"

func (s seen) detached() notice.Notice {
	return s.finding(notice.Drift, "detached",
		fmt.Sprintf("No policy of this provider is attached to user %s: somebody has detached or deleted it, and the user's keys open no bucket", s.user.Name), rewrite)
}

func (s seen) changed() notice.Notice {
	return s.finding(notice.Drift, "changed",
		fmt.Sprintf("The policies of user %s (%s) are not as this provider has written them: somebody has changed one, or has attached one that does not belong there", s.user.Name, list(s.attached)), rewrite)
}

func (s seen) unbounded() notice.Notice {
	carries, wanted := s.user.Boundary.ARN, s.user.Boundary.Wanted
	switch {
	case carries == "":
		return s.finding(notice.Drift, "boundary", fmt.Sprintf("User %s carries no permissions boundary: somebody has taken it off, and nothing limits what other policies would allow the user", s.user.Name), rewrite)
	case name.IsUserBoundary(carries, s.user.ARN):
		return s.finding(notice.Drift, "boundary "+carries, fmt.Sprintf("User %s carries the permissions boundary of a provider that was deployed before this one: %s", s.user.Name, carries), rewrite)
	}
	return s.finding(notice.Drift, "boundary "+carries,
		fmt.Sprintf("User %s carries the permissions boundary %s, which is not the provider's", s.user.Name, carries),
		fmt.Sprintf("Ask who put it there; if it is not meant as a limit: aws iam put-user-permissions-boundary --user-name %s --permissions-boundary %s", s.user.Name, wanted))
}

// newKey makes a new key of what is lost.
const newKey = "Raise Serial in the stack: the provider then makes a new key"

// current says what is amiss with the key that the user's secret gives out.
func (s seen) current() (notice.Notice, bool) {
	secret, key, there := s.holding.Current()
	version, _ := secret.Labelled(access.Current)
	names := keyring.KeyID(version)
	switch {
	case secret.Name == "":
		return s.noSecret(), true
	case names == "":
		return s.finding(notice.Drift, "current "+secret.Name,
			fmt.Sprintf("Secret %s holds no key of this provider as AWSCURRENT: somebody has stored another value, or has moved the label", secret.Name), newKey), true
	case !there:
		return s.finding(notice.Drift, "current "+secret.Name+" "+names,
			fmt.Sprintf("Secret %s gives out key %s, which user %s does not have any more: somebody has deleted it", secret.Name, names, s.user.Name), newKey), true
	case !key.Active:
		return s.finding(notice.Drift, "inactive "+key.ID,
			fmt.Sprintf("Secret %s gives out key %s, which is inactive: somebody has deactivated it, as one does with a key that has leaked", secret.Name, key.ID),
			newKey+"; do not activate the old one again if it has leaked"), true
	}
	return notice.Notice{}, false
}

// noSecret is the finding that no secret says that it is the user's.
func (s seen) noSecret() notice.Notice {
	n := s.finding(notice.Drift, "no secret",
		fmt.Sprintf("User %s has no secret any more: somebody has deleted it, has scheduled its deletion, or has taken its tags off", s.user.Name),
		"If its deletion is scheduled, restore it in Secrets Manager; if its tags are gone, put them back; if it is gone, raise Serial in the stack: the provider then makes a new key and a secret")
	if remembered := name.RememberedSecrets(s.user.Tags); len(remembered) > 0 {
		n.SecretName = remembered[0]
		n.Reason = strings.Replace(n.Reason, "no secret any more", "no secret any more ("+list(remembered)+")", 1)
	}
	return n
}

func (s seen) stillInUse(key access.Key) notice.Notice {
	secret, _, _ := s.holding.Current()
	grace := s.holding.Grace()
	n := s.finding(notice.StillInUse, key.ID,
		fmt.Sprintf("It was replaced more than %s ago, and something has used it within the last %s", days(grace), days(grace)),
		"Give the current key to whatever still uses the old one: "+notice.ReadKey(secret.Name, secret.ARN))
	n.FormerAccessKeyID, n.LastUse = key.ID, s.holding.LastUse[key.ID]
	n.RetireAfter = n.LastUse.Time.Add(grace)
	return n
}

func (s seen) retired(key access.Key) notice.Notice {
	n := s.finding(notice.Retired, key.ID,
		fmt.Sprintf("It was replaced, and nobody has used it for %s", days(s.holding.Grace())),
		fmt.Sprintf("Nothing is to be done: it is deleted after as long again; if something fails now, give it the current key, or activate the old one meanwhile: aws iam update-access-key --user-name %s --access-key-id %s --status Active", s.user.Name, key.ID))
	n.FormerAccessKeyID, n.LastUse = key.ID, s.holding.LastUse[key.ID]
	return n
}

func (s seen) old(key access.Key) notice.Notice {
	n := s.finding(notice.Old, key.ID,
		fmt.Sprintf("It was made on %s, more than %s ago (KeyAgeDays)", date(key.Created), days(s.keyAge)),
		"Replace it: raise Serial in the stack, or set RotationSchedule")
	n.AccessKeyID = key.ID
	return n
}

// most is how many names a sentence lists.
const most = 5

func list(names []string) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(slices.Clone(names[:most]), ", "), len(names)-most)
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func days(d time.Duration) string {
	if n := int(d.Hours() / 24); n != 1 {
		return fmt.Sprintf("%d days", n)
	}
	return "1 day"
}
