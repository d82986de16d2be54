package frameworks

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/occhttp"
)

// nginx compresses what the two servers answer: the one of /strict/, and the one of /lenient/.
const nginxConf = `daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	gzip on;
	gzip_min_length 1;
	gzip_proxied any;
	gzip_types application/json;
	server {
		listen %s;
		location /strict/ { proxy_pass http://%s/; }
		location /lenient/ { proxy_pass http://%s/; }
	}
}
`

// startNginx starts an nginx on a free port, and returns its address.
func startNginx(t *testing.T, strict, lenient string) (url string) {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil && os.Getenv("CI") == "true" {
		require.NoError(t, err)
	}
	if err != nil {
		t.Skip("there is no nginx")
	}
	for range 10 { // another program may take the port
		if url = tryNginx(t, program, strict, lenient); url != "" {
			return url
		}
	}
	require.Fail(t, "nginx did not start")
	return ""
}

// tryNginx returns "" where the port is taken.
func tryNginx(t *testing.T, program, strict, lenient string) (url string) {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	conf := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, nginxConf, address, host(t, strict), host(t, lenient)), 0o600))
	var log bytes.Buffer
	nginx := exec.Command(program, "-p", dir, "-c", conf, "-e", "stderr")
	nginx.Stderr = &log
	require.NoError(t, nginx.Start())
	ended := make(chan error, 1)
	go func() { ended <- nginx.Wait() }()
	for deadline := time.After(time.Minute); ; {
		select {
		case err := <-ended:
			require.Contains(t, log.String(), "Address already in use", err)
			return ""
		case <-deadline:
			require.NoError(t, nginx.Process.Kill())
			<-ended
			require.Fail(t, "nginx does not answer", log.String())
		case <-time.After(10 * time.Millisecond):
		}
		if answers(address) {
			break
		}
	}
	t.Cleanup(func() {
		require.NoError(t, nginx.Process.Kill())
		<-ended
	})
	return "http://" + address
}

func answers(address string) bool {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func host(t *testing.T, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	return parsed.Host
}

func TestBehindAProxyThatCompresses(t *testing.T) {
	t.Parallel()
	db := open(t)
	proxy := startNginx(t, serve(t, Chi(NewNotes(db))), serve(t, Chi(NewNotes(db, occhttp.AcceptWeak()))))
	note := Note{Text: strings.Repeat("as created ", 100)}
	require.NoError(t, db.Create(&note).Error)
	strict, lenient := proxy+"/strict/notes/1", proxy+"/lenient/notes/1"

	plain := call(t, "GET", strict, "")
	require.Equal(t, `"1"`, plain.Header.Get("ETag"))
	compressed := call(t, "GET", strict, "", "Accept-Encoding: gzip")
	require.Equal(t, "gzip", compressed.Header.Get("Content-Encoding"))
	require.Equal(t, `W/"1"`, compressed.Header.Get("ETag"))
	weak := compressed.Header.Get("ETag")
	require.Equal(t, 304, call(t, "GET", strict, "", "Accept-Encoding: gzip", "If-None-Match: "+weak).StatusCode)

	refused := call(t, "PUT", strict, mine, "If-Match: "+weak)
	require.Equal(t, 412, refused.StatusCode)
	require.Equal(t, "urn:occ:weak-tag", problemIn(t, refused).Type)
	require.Contains(t, problemIn(t, refused).Detail, "A compressing proxy between client and server has weakened the ETag")
	requireText(t, db, note.ID, note.Text)

	taken := call(t, "PUT", lenient, mine, "If-Match: "+weak)
	require.Equal(t, 204, taken.StatusCode)
	require.Equal(t, `"2"`, taken.Header.Get("ETag"))
	requireText(t, db, note.ID, "mine")

	require.Equal(t, "urn:occ:stale", problemIn(t, call(t, "PUT", lenient, `{"text":"late"}`, "If-Match: "+weak)).Type)
	requireText(t, db, note.ID, "mine")
}
