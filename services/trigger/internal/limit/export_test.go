package limit

// Keys is how many buckets are kept.
func (l *Logins) Keys() int { return l.instances.used.Len() + l.logins.used.Len() }
