package notify_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

var pageSize = os.Getpagesize()

// content fills pages with bytes that differ from page to page, the same ones each time.
func content(pages int) []byte {
	data := make([]byte, pages*pageSize)
	rand.NewChaCha8([32]byte{}).Read(data)
	return data
}

// showing starts a child that shows pages of memory, the last of them write-protected, with nothing mapped after them.
func showing(t *testing.T, content []byte, readOnly int) (c *child, n *notify.Notification, address uint64) {
	t.Helper()
	c = startChild(t, "memory", strconv.Itoa(readOnly))
	if _, err := c.stdin.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := c.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	n = c.receive(t)
	return c, n, n.Args()[0]
}

func TestRead(t *testing.T) {
	data := content(3)
	_, n, address := showing(t, data, 1)
	end := len(data)
	for _, test := range []struct {
		name           string
		offset, length int
		want           []byte
	}{
		{"within a page", 10, 20, data[10:30]},
		{"a page", pageSize, pageSize, data[pageSize : 2*pageSize]},
		{"across a boundary", pageSize - 1, 2, data[pageSize-1 : pageSize+1]},
		{"several pages", 1, end - 2, data[1 : end-1]},
		{"write-protected", end - 9, 9, data[end-9:]},
		{"up to the unmapped page", end - 5, 100, data[end-5:]},
		{"pages up to the unmapped page", 7, 2 * end, data[7:]},
		{"nothing", 0, 0, []byte{}},
		{"nothing of what is unmapped", end, 0, []byte{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			buffer := make([]byte, test.length)
			count, err := n.Read(buffer, address+uint64(test.offset))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, buffer[:count]); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestReadOfNothingMapped(t *testing.T) {
	data := content(1)
	_, n, address := showing(t, data, 0)
	for name, address := range map[string]uint64{
		"the unmapped page": address + uint64(len(data)),
		"null":              0,
		"the kernel's half": 1 << 63,
		"the last byte":     1<<64 - 1,
	} {
		t.Run(name, func(t *testing.T) {
			count, err := n.Read(make([]byte, 16), address)
			if count != 0 || !errors.Is(err, unix.EFAULT) {
				t.Errorf("%d bytes, %v; want EFAULT", count, err)
			}
		})
	}
}

// One system call takes IOV_MAX pages at most.
func TestReadOfMoreThanOneCallTakes(t *testing.T) {
	data := content(1024 + 10)
	_, n, address := showing(t, data, 0)
	buffer := make([]byte, len(data)+1)
	count, err := n.Read(buffer, address)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(buffer[:count], data) {
		t.Errorf("%d bytes of %d, or others", count, len(data))
	}
}

func TestReadString(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 2*pageSize)
	end := len(data)
	put := func(offset int, text string) int {
		copy(data[offset:], text)
		return offset
	}
	var (
		short  = put(0, "short\x00")
		empty  = put(100, "\x00")
		binary = put(200, "\xff\xfe/\n\x80\x00")
		across = put(pageSize-3, "across\x00")
		first  = put(pageSize+1000, strings.Repeat("f", 255)+"\x00")
		second = put(pageSize+1500, strings.Repeat("s", 256)+"\x00")
		long   = put(pageSize+2000, strings.Repeat("l", 1000)+"\x00")
		last   = put(end-5, "last\x00") // its NUL is the last byte before the unmapped page
	)
	_, n, address := showing(t, data, 0)
	for _, test := range []struct {
		name   string
		offset int
		size   int // of the buffer
		limit  int
		want   string
		err    error
	}{
		{"short", short, 100, 99, "short", nil},
		{"empty", empty, 100, 99, "", nil},
		{"all that is read first", first, 4096, 4095, strings.Repeat("f", 255), nil},
		{"one byte more", second, 4096, 4095, strings.Repeat("s", 256), nil},
		{"much more", long, 4096, 4095, strings.Repeat("l", 1000), nil},
		{"more, as long as the limit", long, 4096, 1000, strings.Repeat("l", 1000), nil},
		{"more than the limit", long, 4096, 999, "", notify.ErrTooLong},
		{"not UTF-8", binary, 100, 99, "\xff\xfe/\n\x80", nil},
		{"across a page boundary", across, 100, 99, "across", nil},
		{"up to an unmapped page", last, 100, 99, "last", nil},
		{"from the end of a string", last + 4, 100, 99, "", nil},
		{"more than a page", binary + 6, 2 * pageSize, 2*pageSize - 1, string(data[binary+6:across]) + "across", nil},
		{"as long as allowed", short, 100, 5, "short", nil},
		{"as long as the buffer", short, 6, 99, "short", nil},
		{"a byte too long", short, 100, 4, "", notify.ErrTooLong},
		{"a byte too long for the buffer", short, 5, 99, "", notify.ErrTooLong},
		{"too long across a boundary", across, 100, 4, "", notify.ErrTooLong},
		{"empty with no byte allowed", empty, 1, 0, "", nil},
		{"no room", empty, 0, 0, "", notify.ErrTooLong},
		{"any length", short, 100, 1<<63 - 1, "short", nil},
		{"unmapped", end, 100, 99, "", unix.EFAULT},
		{"null", -int(address), 100, 99, "", unix.EFAULT},
	} {
		t.Run(test.name, func(t *testing.T) {
			buffer := make([]byte, test.size)
			length, err := n.ReadString(buffer, address+uint64(test.offset), test.limit)
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, string(buffer[:length])); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestReadStringThatRunsIntoAnUnmappedPage(t *testing.T) {
	data := bytes.Repeat([]byte("x"), pageSize)
	_, n, address := showing(t, data, 0)
	length, err := n.ReadString(make([]byte, 100), address+uint64(pageSize-10), 99)
	if length != 0 || !errors.Is(err, unix.EFAULT) {
		t.Errorf("%d bytes, %v; want EFAULT", length, err)
	}
}
