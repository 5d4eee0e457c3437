/* Files of the host, which are cgroups' mostly; for keeper and step alike. */
#include "sandbox.h"

ssize_t read_text(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
  if (fd >= 0) close(fd);
  text[n < 0 ? 0 : n] = 0;
  return n;
}

bool write_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  bool ok = fd >= 0 && write(fd, text, strlen(text)) >= 0;
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return ok;
}

/* write PATH TEXT required|optional|quiet: optional leaves a note where it fails. */
static void write_file(const struct command *c) {
  const char *path = arg(c, 1), *text = arg(c, 2), *importance = arg(c, 3);
  if (write_text(path, text) || strcmp(importance, "quiet") == 0) return;
  if (strcmp(importance, "required") == 0) fail(path, text, errno);
  char line[512];
  snprintf(line, sizeof line, "%.300s refused %.100s: %s", path, text, strerror(errno));
  note(line);
}

/* inherit FROM TO NAME: one directory's file of that name with the contents of the other's. */
static void inherit_file(const struct command *c) {
  char from[4200], to[4200], text[4096];
  snprintf(from, sizeof from, "%s/%s", arg(c, 1), arg(c, 3));
  snprintf(to, sizeof to, "%s/%s", arg(c, 2), arg(c, 3));
  if (read_text(from, text, sizeof text) < 0 || !write_text(to, text)) fail(to, "", errno);
}

const struct known_command file_commands[] = {
    {"write", 4, write_file},
    {"inherit", 4, inherit_file},
    {NULL, 0, NULL},
};
