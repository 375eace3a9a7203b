package cozytest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"time"
)

// prepareDoc changes a document on its way in as the stack does with accounts:
// the password is locked away, the name follows the login, and an app's
// creation is stamped.
func (inst *Instance) prepareDoc(doctype string, body map[string]any, g *grant) {
	if doctype != doctypeAccounts {
		return
	}
	inst.stack.vault.lock(body)
	if auth, ok := body["auth"].(map[string]any); ok {
		if login, ok := auth["login"].(string); ok && login != "" {
			body["name"] = login
		}
	}
	if g != nil && g.slug != "" && body["cozyMetadata"] == nil {
		body["cozyMetadata"] = accountMetadata(time.Now().UTC(), g.slug)
	}
}

func accountMetadata(now time.Time, slug string) map[string]any {
	return map[string]any{
		"doctypeVersion": "", "metadataVersion": 1,
		"createdAt": now, "createdByApp": slug,
		"updatedAt": now, "updatedByApps": []appStamp{{Slug: slug, Date: now}},
	}
}

// seesCredentials: konnectors always, apps when they ask, nobody else.
func (c *call) seesCredentials(g *grant) bool {
	return g.audience == AudienceKonnector ||
		g.audience == AudienceApp && c.query().Get("include") == "credentials"
}

// vault encrypts the passwords of account documents with a key of its own.
type vault struct{ aead cipher.AEAD }

func newVault() *vault {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil // not for a key of 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil // not for AES
	}
	return &vault{aead}
}

const (
	vaultHeader    = "nacl"
	fieldEncrypted = "credentials_encrypted"
)

type credentials struct {
	Login    string `json:"login"`
	Password string `json:"password"`
}

// lock replaces auth.password by auth.credentials_encrypted.
func (v *vault) lock(body map[string]any) {
	auth, ok := body["auth"].(map[string]any)
	if !ok {
		return
	}
	password, ok := auth["password"].(string)
	if !ok {
		return
	}
	login, _ := auth["login"].(string)
	auth = maps.Clone(auth)
	delete(auth, "password")
	auth[fieldEncrypted] = v.seal(credentials{login, password})
	body["auth"] = auth
}

func (v *vault) seal(c credentials) string {
	plain, _ := json.Marshal(c)
	nonce := make([]byte, v.aead.NonceSize())
	_, _ = rand.Read(nonce)
	box := append([]byte(vaultHeader), nonce...)
	return base64.StdEncoding.EncodeToString(v.aead.Seal(box, nonce, plain, nil))
}

// open returns a copy of the document with the password in the clear.
func (v *vault) open(body map[string]any) map[string]any {
	auth, ok := body["auth"].(map[string]any)
	if !ok {
		return body
	}
	sealed, _ := auth[fieldEncrypted].(string)
	found, ok := v.unseal(sealed)
	if !ok {
		return body
	}
	auth = maps.Clone(auth)
	delete(auth, fieldEncrypted)
	auth["login"], auth["password"] = found.Login, found.Password
	body = maps.Clone(body)
	body["auth"] = auth
	return body
}

func (v *vault) unseal(sealed string) (c credentials, ok bool) {
	box, err := base64.StdEncoding.DecodeString(sealed)
	head := len(vaultHeader) + v.aead.NonceSize()
	if err != nil || len(box) < head {
		return c, false
	}
	plain, err := v.aead.Open(nil, box[len(vaultHeader):head], box[head:], nil)
	if err != nil {
		return c, false
	}
	return c, json.Unmarshal(plain, &c) == nil
}
