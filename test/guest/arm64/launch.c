/* launch HELPER PROGRAM: runs the native helper on the bytes of a file, and copies the records that it sends to standard output. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool copy(int from, char *bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = read(from, bytes + done, size - done);
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return write(1, bytes, size) == (ssize_t)size;
}

/* A record: its type, its size, its content. The last one of a program has the type `d`; the helper waits for another one then. */
static bool copy_records(int from) {
  static char bytes[1 << 20];
  for (char type = 0; type != 'd';) {
    uint32_t size;
    if (!copy(from, bytes, 5)) return false;
    type = bytes[0];
    memcpy(&size, bytes + 1, sizeof size);
    if (size > sizeof bytes || !copy(from, bytes, size)) return false;
  }
  return true;
}

int main(int argc, char **argv) {
  int pair[2], program = argc == 3 ? open(argv[2], O_RDONLY) : -1;
  struct stat st;
  if (program < 0 || fstat(program, &st) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return 1;
  if (fork() == 0) {
    dup2(pair[1], 3);
    close(pair[0]);
    execl(argv[1], argv[1], "run", NULL);
    _exit(127);
  }
  close(pair[1]);
  for (off_t sent = 0; sent < st.st_size;)
    if (sendfile(pair[0], program, &sent, (size_t)(st.st_size - sent)) <= 0) return 1;
  bool copied = copy_records(pair[0]);
  close(pair[0]);
  return wait(NULL) < 0 || !copied;
}
