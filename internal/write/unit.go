package write

// within runs write in a transaction; its error is the statement's.
func (c *Call) within(write func() error) {
	err := c.Plugin.InTransaction(c.Db, write)
	if err != nil && c.Db.Error == nil {
		_ = c.Db.AddError(err)
	}
}

// allOrNone runs write as a unit whose rows stand or fall together; its error is what became of them, and db.Error is as
// it was before. What it remembers of memory stays known to those who may still roll back.
func (c *Call) allOrNone(write func() error) (err error) {
	before := c.Db.Error
	defer func() { c.Db.Error = before }()
	u, err := c.Plugin.OpenUnit(c.Db, false)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // a panic: nothing of it may stay
			_ = u.Close(c.Db, true)
		}
	}()
	err = write()
	done = true
	memories := u.Journal.Memories[u.Mark:]
	if endErr := u.Close(c.Db, err != nil); endErr != nil && err == nil {
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
		return c.Db.Error
	})
	if err != nil {
		c.Db.RowsAffected = 0
		c.Db.Error = err
	}
}
