package contract

// Account is the part of an io.cozy.accounts document that the services use.
// The stack encrypts the password when it stores the document and gives it back
// only to a reader who asks for the credentials.
type Account struct {
	AccountType  string      `json:"account_type"`
	Name         string      `json:"name,omitempty"`
	WebDAVUserID string      `json:"webdav_user_id,omitempty"`
	Auth         AccountAuth `json:"auth"`
}

// AccountAuth is where the user's files are and how to log in there.
type AccountAuth struct {
	URL      string `json:"url"` // ends in a slash, may hold a sub-path
	Login    string `json:"login"`
	Password string `json:"password,omitempty"`
}
