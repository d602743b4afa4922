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

// longestEvent is the time after which an incomplete user, a new key or a mark counts as
// left over. It is longer than any event, which takes some minutes at most.
const longestEvent = time.Hour

// report is what the sweep announces about one user.
type report struct {
	findings []notice.Notice
	unsure   []string // ids of findings that may or may not still be true
}

// atWork reports whether an event is at work on the user. Then the user may still change,
// and the next sweep looks again.
func (s seen) atWork() bool { return order.MarksOf(s.user.Tags).AtWork(s.now) }

// report returns the findings about the user.
func (s seen) report() (r report) {
	young := s.now.Sub(s.created) < longestEvent
	switch {
	case !s.ours && young, !s.completed() && young:
		return r // an event is creating it
	case !s.ours:
		return report{findings: []notice.Notice{s.untagged()}}
	}
	s.orphans(&r)
	if !s.completed() {
		if len(r.findings) == 0 {
			r.findings = append(r.findings, s.incomplete())
		}
		return r
	}
	s.drift(&r)
	s.aging(&r)
	return r
}

func (s seen) completed() bool { return s.user.Tags[name.TagCompleted] != "" }

// orphans finds users without a resource, and lost keys.
func (s seen) orphans(r *report) {
	resourceMissing, other := s.resourceMissing(), s.otherUser()
	switch {
	case s.resource == unknown:
		r.unsure = append(r.unsure, resourceMissing.ID, other.ID)
	case s.resource == missing:
		r.findings = append(r.findings, resourceMissing)
	case s.physical != s.user.Name:
		r.findings = append(r.findings, other)
	}
	// Without a secret all keys of the user are lost. The finding about the secret says that.
	secret, _, _ := s.holding.Current()
	for _, key := range s.holding.LostKeys() {
		if secret.Name != "" && s.now.Sub(key.Created) >= longestEvent {
			r.findings = append(r.findings, s.lostKey(key))
		}
	}
}

// drift finds changes by others.
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
	if current, wrong := s.current(); wrong {
		r.findings = append(r.findings, current)
	}
}

// aging finds keys that were retired, are still in use, or are old.
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

// finding returns a notice about the user. about distinguishes it from other notices of the
// same kind about that user.
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
		fmt.Sprintf("User %s is on this provider's path, but its tags %s, %s and %s do not name its resource: somebody removed or changed them, or created the user by hand", s.user.Name, name.TagStack, name.TagLogical, name.TagPhysical),
		"If it belongs to a stack, restore its tags. If it does not, deactivate its keys, and delete the user later if nothing fails")
}

func (s seen) incomplete() notice.Notice {
	return s.finding(notice.Orphan, "half-made",
		fmt.Sprintf("User %s was created on %s and never completed: its Create failed or was stopped, and no Delete has deleted it", s.user.Name, date(s.created)),
		"Update or delete its stack. If the stack does not exist, delete the user, its policies and its secret by hand")
}

func (s seen) resourceMissing() notice.Notice {
	return s.finding(notice.Orphan, "resource",
		fmt.Sprintf("User %s, its keys and its secret exist, but the resource %s or its stack %s does not: the resource was retained, or its Delete failed or was skipped", s.user.Name, s.owner.Logical, s.owner.Stack.Name),
		"If it was retained on purpose, keep it. If not, "+s.howToDelete())
}

func (s seen) otherUser() notice.Notice {
	return s.finding(notice.Orphan, "replaced",
		fmt.Sprintf("User %s carries the tags of the resource %s of stack %s, but that resource has another user now: this user was replaced, and its Delete failed, was skipped, or has not begun yet", s.user.Name, s.owner.Logical, s.owner.Stack.Name),
		"If an update of the stack is in progress, wait until it has ended. If not, "+s.howToDelete())
}

// howToDelete says how to delete the user by hand without a surprise.
func (s seen) howToDelete() string {
	commands := s.commands("aws iam update-access-key --user-name %s --access-key-id %s --status Inactive")
	if commands == "" {
		return "delete the user, its policies and its secret by hand"
	}
	return "deactivate its keys (" + commands + "), and delete the user, its policies and its secret later if nothing fails"
}

// commands returns the command in that format for each active key of the user.
func (s seen) commands(format string) string {
	var commands []string
	for _, key := range s.holding.Keys {
		if key.Active && name.IsUser(s.user.Name) {
			commands = append(commands, fmt.Sprintf(format, s.user.Name, key.ID))
		}
	}
	return strings.Join(commands, "; ")
}

func (s seen) lostKey(key access.Key) notice.Notice {
	next := fmt.Sprintf("If nobody needs the key, deactivate it, and delete it later if nothing fails: aws iam update-access-key --user-name %s --access-key-id %s --status Inactive", s.user.Name, key.ID)
	if !key.Active {
		next = fmt.Sprintf("The key is inactive. Delete it if nobody needs it: aws iam delete-access-key --user-name %s --access-key-id %s", s.user.Name, key.ID)
	}
	return s.finding(notice.Orphan, "key "+key.ID,
		fmt.Sprintf("Access key %s of user %s is in no secret of this provider: somebody created it by hand or removed it from the secret, or a run that was stopped has left it", key.ID, s.user.Name), next)
}

func (s seen) foreign() notice.Notice {
	return s.finding(notice.Drift, "policies "+strings.Join(s.others, " "),
		fmt.Sprintf("Somebody has attached policies to user %s that are not this provider's: %s. They may allow more than the stack declares, or deny it", s.user.Name, list(s.others)),
		"Find out who attached them and why. If the user does not need them, detach them in IAM")
}

func (s seen) inlined() notice.Notice {
	return s.finding(notice.Drift, "inline "+strings.Join(s.inline, " "),
		fmt.Sprintf("Somebody has given user %s inline policies: %s. They may allow more than the stack declares, or deny it", s.user.Name, list(s.inline)),
		"Find out who wrote them and why. If the user does not need them, delete them in IAM")
}

// rewrite makes the provider write its policies and boundary again.
const rewrite = "Change a property of the resource, for example a tag in Tags, and update the stack: the provider then puts it right"

func (s seen) detached() notice.Notice {
	return s.finding(notice.Drift, "detached",
		fmt.Sprintf("No policy of this provider is attached to user %s: somebody detached or deleted it. The user's keys reach no bucket", s.user.Name), rewrite)
}

func (s seen) changed() notice.Notice {
	return s.finding(notice.Drift, "changed",
		fmt.Sprintf("The policies of user %s (%s) are not as this provider wrote them: somebody changed one, or attached one that does not belong there", s.user.Name, list(s.attached)), rewrite)
}

func (s seen) unbounded() notice.Notice {
	carries, provided := s.user.Boundary.ARN, s.user.Boundary.Ours
	switch {
	case carries == "":
		return s.finding(notice.Drift, "boundary", fmt.Sprintf("User %s has no permissions boundary: somebody removed it. Nothing limits what other policies would allow the user", s.user.Name), rewrite)
	case name.IsUserBoundary(carries, s.user.ARN):
		return s.finding(notice.Drift, "boundary "+carries, fmt.Sprintf("User %s has the permissions boundary of an earlier provider: %s", s.user.Name, carries), rewrite)
	}
	return s.finding(notice.Drift, "boundary "+carries,
		fmt.Sprintf("User %s has the permissions boundary %s, which is not the provider's", s.user.Name, carries),
		fmt.Sprintf("Find out who put it there and why. If it is not meant as a limit, put the provider's boundary there: aws iam put-user-permissions-boundary --user-name %s --permissions-boundary %s", s.user.Name, provided))
}

// newKey replaces a key that does not work any more.
const newKey = "Raise Serial in the stack: the provider then creates a new key"

// current returns what is wrong with the current key of the user's secret.
func (s seen) current() (notice.Notice, bool) {
	secret, key, there := s.holding.Current()
	version, _ := secret.Labelled(access.Current)
	names := keyring.KeyID(version)
	switch {
	case secret.Name == "":
		return s.noSecret(), true
	case names == "":
		return s.finding(notice.Drift, "current "+secret.Name,
			fmt.Sprintf("Secret %s holds no key of this provider as AWSCURRENT: somebody stored another value, or moved the label", secret.Name), newKey), true
	case !there:
		return s.finding(notice.Drift, "current "+secret.Name+" "+names,
			fmt.Sprintf("The current key of secret %s is %s, which user %s does not have any more: somebody deleted it", secret.Name, names, s.user.Name), newKey), true
	case !key.Active:
		return s.finding(notice.Drift, "inactive "+key.ID,
			fmt.Sprintf("The current key of secret %s is %s, which is inactive: somebody deactivated it, perhaps because it has leaked", secret.Name, key.ID),
			newKey+". Do not activate the inactive key again if it has leaked"), true
	}
	return notice.Notice{}, false
}

// noSecret is the finding that no secret has the tags of the user.
func (s seen) noSecret() notice.Notice {
	n := s.finding(notice.Drift, "no secret",
		fmt.Sprintf("User %s has no secret any more: somebody deleted it, scheduled its deletion, or removed its tags", s.user.Name),
		"If its deletion is scheduled, restore it in Secrets Manager. If its tags are missing, restore them. If it does not exist, raise Serial in the stack: the provider then creates a new key and a secret")
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
		fmt.Sprintf("It was replaced more than %s ago, and somebody has used it within the last %s", days(grace), days(grace)),
		"Find the program that still uses it, and give it the current key: "+notice.ReadKey(secret.Name, secret.ARN))
	n.FormerAccessKeyID, n.LastUse = key.ID, s.holding.LastUse[key.ID]
	n.RetireAfter = n.LastUse.Time.Add(grace)
	return n
}

func (s seen) retired(key access.Key) notice.Notice {
	n := s.finding(notice.Retired, key.ID,
		fmt.Sprintf("It was replaced, and nobody has used it for %s", days(s.holding.Grace())),
		fmt.Sprintf("You need not do anything: the sweep deletes the key after about %s. If a program fails now, give it the current key. Until then, and if the replaced key has not leaked, you can activate it again: aws iam update-access-key --user-name %s --access-key-id %s --status Active", days(s.holding.Grace()), s.user.Name, key.ID))
	n.FormerAccessKeyID, n.LastUse = key.ID, s.holding.LastUse[key.ID]
	return n
}

func (s seen) old(key access.Key) notice.Notice {
	n := s.finding(notice.Old, key.ID,
		fmt.Sprintf("It was created on %s, more than %s ago (KeyAgeDays)", date(key.Created), days(s.keyAge)),
		"Replace it: raise Serial in the stack, or set RotationSchedule")
	n.AccessKeyID = key.ID
	return n
}

// mostNamed is how many names a sentence lists.
const mostNamed = 5

func list(names []string) string {
	if len(names) <= mostNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(slices.Clone(names[:mostNamed]), ", "), len(names)-mostNamed)
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func days(d time.Duration) string {
	if n := int(d.Hours() / 24); n != 1 {
		return fmt.Sprintf("%d days", n)
	}
	return "1 day"
}
