package nextcloud

import "net/url"

// ReadAtMost lowers what is read of a listing, which takes a while to fill.
func (s *Sources) ReadAtMost(bytes int64) { s.maxListing = bytes }

// ChildOf is the name that an address in a listing stands for.
func ChildOf(folder *url.URL, href string) (string, bool) { return childOf(folder, href) }

// FileURL is where a name in the home at folder would be deleted; "" is nowhere.
func FileURL(folder *url.URL, userID, name string) string {
	root := *folder
	root.Path = "/nc/"
	u, err := fileURL(&root, userID, name)
	if err != nil {
		return ""
	}
	return u.String()
}
