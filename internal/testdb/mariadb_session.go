package testdb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mariadbConnector opens connections together with what they send over.
type mariadbConnector struct {
	driver.Connector
	settings string // SQL: what the DSN sets, which a reset undoes
}

type wireKey struct{}

// newMariaDBConnector notes for each connection the one of the network: the driver has no call for a reset.
func newMariaDBConnector(config *mysql.Config) (connector, error) {
	settings := settingsOf(config)
	network, name, isPlain := config.Net, "noted "+config.Net, config.TLS == nil
	mysql.RegisterDialContext(name, func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if wire, ok := ctx.Value(wireKey{}).(*net.Conn); ok && isPlain {
			*wire = conn
		}
		return conn, err
	})
	own := config.Clone()
	own.Net = name
	plain, err := mysql.NewConnector(own)
	return mariadbConnector{plain, settings}, err
}

func settingsOf(config *mysql.Config) string {
	var set []string
	for _, name := range slices.Sorted(maps.Keys(config.Params)) {
		if name != "charset" {
			set = append(set, name+" = "+config.Params[name])
		}
	}
	if len(set) == 0 {
		return ""
	}
	return "SET " + strings.Join(set, ", ")
}

func (c mariadbConnector) open(ctx context.Context) (session, error) {
	var wire net.Conn
	conn, err := c.Connect(context.WithValue(ctx, wireKey{}, &wire))
	if err != nil {
		return nil, err
	}
	s := mariadbSession{mariadbConn: conn.(mariadbConn), wire: wire}
	names, err := s.names(ctx)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s.settings = []string{names, c.settings}
	return s, nil
}

// mariadbConn has the methods of the driver's connections.
type mariadbConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

type mariadbSession struct {
	mariadbConn
	wire     net.Conn
	settings []string
	giveBack func() error
}

// names asks for the character set that was agreed on: a reset puts the server's own in its place.
func (s mariadbSession) names(ctx context.Context) (string, error) {
	rows, err := s.QueryContext(ctx, "SELECT CONCAT(@@character_set_client, ' COLLATE ', @@collation_connection)", nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	values := make([]driver.Value, 1)
	if err := rows.Next(values); err != nil {
		return "", err
	}
	return fmt.Sprintf("SET NAMES %s", values[0]), nil
}

func (s mariadbSession) enter(ctx context.Context, namespace string) error {
	for _, query := range append(s.settings, "USE "+namespace) {
		if query == "" {
			continue
		}
		if _, err := s.ExecContext(ctx, query, nil); err != nil {
			return err
		}
	}
	return nil
}

// resetPacket is COM_RESET_CONNECTION: a length of 1, the number 0 of a first packet, the command.
var resetPacket = []byte{1, 0, 0, 0, 0x1f}

func (s mariadbSession) reset(ctx context.Context) error {
	if !s.IsValid() || s.wire == nil { // the latter where it is encrypted
		return driver.ErrBadConn
	}
	deadline, _ := ctx.Deadline()
	if err := s.wire.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := s.wire.Write(resetPacket); err != nil {
		return err
	}
	if err := readOK(s.wire); err != nil {
		return err
	}
	return s.wire.SetDeadline(time.Time{})
}

// readOK reads one packet, which has to be an OK.
func readOK(r io.Reader) error {
	header := make([]byte, 4)
	if _, err := io.ReadFull(r, header); err != nil {
		return err
	}
	body := make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	if len(body) == 0 || body[0] != 0 {
		return fmt.Errorf("the server refused a reset: %q", body)
	}
	return nil
}

func (s mariadbSession) lend(giveBack func() error) driver.Conn {
	s.giveBack = giveBack
	return s
}

func (s mariadbSession) Close() error {
	if s.giveBack != nil {
		return s.giveBack()
	}
	return s.mariadbConn.Close()
}
