package supervise

// Backlog is how many notifications wait for a free worker.
func (s *Supervisor) Backlog() int {
	s.leadership.mu.Lock()
	defer s.leadership.mu.Unlock()
	return len(s.leadership.backlog)
}
