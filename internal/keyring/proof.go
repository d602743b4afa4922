package keyring

import (
	"encoding/json"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// DigestLength is how many characters a Digest has.
const DigestLength = 16

// Digest returns a short hash of all parts, in their order.
func Digest(parts ...any) string {
	// Strings, booleans, times and lists of them cannot fail to marshal.
	text, _ := json.Marshal(parts)
	return strings.ReplaceAll(name.Token(string(text)), "-", "")[:DigestLength]
}

// Proof is a digest of a key and the scope for which it was proven. The provider keeps it on
// the user, the rotator on the version that holds the key (name.ProvenLabel).
func Proof(keyID string, scope access.Scope) string { return Digest("proof", keyID, scope) }

// Proven reports whether the version's label says that its key was proven for the scope.
func Proven(v access.Version, scope access.Scope) bool {
	return v.Has(name.ProvenLabel(Proof(KeyID(v), scope)))
}
