package write

// within runs write in a transaction; its error is the statement's.
func (c *Call) within(write func() error) {
	err := c.Plugin.InTransaction(c.DB, write)
	if err != nil && c.DB.Error == nil {
		_ = c.DB.AddError(err)
	}
}

// allOrNone runs write as a unit whose rows stand or fall together; its error is what became of them, and db.Error is as
// it was before. What it remembers of memory stays known to those who may still roll back.
func (c *Call) allOrNone(write func() error) (err error) {
	before := c.DB.Error
	defer func() { c.DB.Error = before }()
	u, err := c.Plugin.OpenUnit(c.DB, false)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // a panic: nothing of it may stay
			_ = u.Close(c.DB, true)
		}
	}()
	err = write()
	done = true
	memories := u.Journal.Memories[u.Mark:]
	if endErr := u.Close(c.DB, err != nil); endErr != nil && err == nil {
		return endErr
	}
	if err == nil && u.OwnsJournal && u.Savepoint != "" {
		c.memories = append(c.memories, memories...)
	}
	return err
}

// together runs several writes of one call as a unit.
func (c *Call) together(writes func()) {
	err := c.allOrNone(func() error {
		writes()
		return c.DB.Error
	})
	if err != nil {
		c.DB.RowsAffected = 0
		c.DB.Error = err
	}
}
