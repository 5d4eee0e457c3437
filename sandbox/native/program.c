/* Reading programs, writing records. */
#include "sandbox.h"

struct report *report;
jmp_buf *recovery;
static const char *current_command = "start";

static void read_fully(int fd, void *to, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = read(fd, (char *)to + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(0); /* node is gone, or never wanted this step */
    done += (size_t)n;
  }
}

static void *allocate(size_t size) {
  void *p = malloc(size ? size : 1);
  if (!p) fail("memory", "", ENOMEM);
  return p;
}

static uint32_t take_number(char **at, const char *end) {
  uint32_t n;
  if (end - *at < 4) fail("program", "truncated", EINVAL);
  memcpy(&n, *at, 4);
  *at += 4;
  return n;
}

/* Reads one part; what it points to lives until free_program. */
struct program read_program(int fd) {
  uint32_t size;
  read_fully(fd, &size, sizeof size);
  char *at = allocate(size), *end = at + size;
  struct program p = {.text = at};
  read_fully(fd, at, size);
  p.count = take_number(&at, end);
  p.commands = allocate(p.count * sizeof *p.commands);
  for (uint32_t i = 0; i < p.count; i++) {
    struct command *c = &p.commands[i];
    c->argc = take_number(&at, end);
    c->argv = allocate(c->argc * sizeof *c->argv);
    for (uint32_t k = 0; k < c->argc; k++) {
      c->argv[k].size = take_number(&at, end);
      if ((size_t)(end - at) <= c->argv[k].size) fail("program", "truncated", EINVAL);
      c->argv[k].data = at;
      at += c->argv[k].size + 1;
    }
  }
  return p;
}

void free_program(struct program *p) {
  for (uint32_t i = 0; i < p->count; i++) free(p->commands[i].argv);
  free(p->commands);
  free(p->text);
}

/* The argument as text; argument 0 is the command's name, and asking for it makes it the current command for messages. */
const char *arg(const struct command *c, uint32_t index) {
  if (index >= c->argc) fail("program", "argument missing", EINVAL);
  if (index == 0) current_command = c->argv[0].data;
  return c->argv[index].data;
}

uint64_t number_arg(const struct command *c, uint32_t index, int base) {
  const char *text = arg(c, index);
  char *end;
  errno = 0;
  uint64_t n = strtoull(text, &end, base);
  if (errno || end == text || *end) fail(text, "not a number", EINVAL);
  return n;
}

/* Runs the command by its name in the tables, which end with a NULL. */
void run_command(const struct command *c, const struct known_command *const *tables) {
  const char *name = arg(c, 0);
  for (; *tables; tables++)
    for (const struct known_command *k = *tables; k->name; k++)
      if (strcmp(k->name, name) == 0 && c->argc >= k->min_argc) {
        k->run(c);
        return;
      }
  fail(name, "unknown command", EINVAL);
}

/* Record: type byte, u32 size, payload. Once node is gone there is nobody to tell, and the work goes on to its end. */
void send_record(char type, const void *data, size_t size) {
  char head[5] = {type};
  uint32_t n = (uint32_t)size;
  memcpy(head + 1, &n, 4);
  const char *parts[2] = {head, data};
  size_t sizes[2] = {sizeof head, size};
  for (int i = 0; i < 2; i++) {
    for (size_t done = 0; done < sizes[i];) {
      ssize_t written = write(CONTROL_FD, parts[i] + done, sizes[i] - done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return;
      done += (size_t)written;
    }
  }
}

/* A record of two strings, separated by a NUL. */
void send_text(char type, const char *first, const char *second) {
  size_t a = strlen(first) + 1, b = strlen(second);
  char *text = allocate(a + b);
  memcpy(text, first, a);
  memcpy(text + a, second, b);
  send_record(type, text, a + b);
  free(text);
}

/* Something a person may want to know; sent with the result. */
void note(const char *text) {
  size_t used = strlen(report->notes);
  snprintf(report->notes + used, sizeof report->notes - used, "%s\n", text);
}

_Noreturn void fail(const char *subject, const char *detail, int error) {
  if (report && !report->failed) {
    report->error = error;
    snprintf(report->command, sizeof report->command, "%s", current_command);
    snprintf(report->subject, sizeof report->subject, "%s", subject);
    snprintf(report->detail, sizeof report->detail, "%s", detail);
    report->failed = true;
  }
  if (recovery) longjmp(*recovery, 1);
  _exit(125);
}
