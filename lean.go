package occ

// WithLeanTransactions leaves out GORM's default transaction for writes that are a single statement: one round trip instead
// of three. Use it where you would set SkipDefaultTransaction. Such a write is the Create, Update, Updates, Save or Delete of one model with a version, or an update or
// delete by condition, where no hook of the model runs, no association is saved or deleted along with it, no parent is
// touched and no callback of another plugin is registered between GORM's begin and commit. Such a statement is written whole
// or not at all without a transaction too. A write that needs several statements keeps its transaction. So do those for which
// the plugin cannot know it: slices, upserts, RETURNING, [Unchecked], models with a Snapshot or with versions that the
// database writes, a Save of a model that was never loaded, columns whose defaults the database makes, a connection of
// one's own (gorm.DB.Connection), and a gorm.Config.DefaultTransactionTimeout, which is one of the transaction. The option does not
// change writes of models without a version.
//
// It is not the default because of one difference: where the context ends, or the connection breaks, during the one
// statement, it is unknown whether the row was written, since the database may have carried it out already. With a
// transaction it is rolled back, unless that happens during COMMIT. The model keeps its version, so that a second try is
// refused if the first was carried out.
//
// On MySQL and MariaDB the option asks once for each pool of connections whether they commit by themselves; with
// autocommit=0 every write keeps its transaction. Do not change autocommit on single connections of the pool.
func WithLeanTransactions() Option {
	return func(p *Plugin) { p.leanTransactions = true }
}
