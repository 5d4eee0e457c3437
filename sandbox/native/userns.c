/* The whole command line goes into a user namespace of its own, in which it is root (sandbox/user-namespace.ts). */
#include "sandbox.h"
#include <sched.h>
#include <sys/wait.h>

static int complain(const char *what) {
  fprintf(stderr, "tsbuild: cannot enter a user namespace: %s: %s\n", what, strerror(errno));
  return 1;
}

static bool write_map(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  if (fd >= 0) close(fd);
  return ok;
}

/* MAP is `INSIDE OUTSIDE COUNT ...`, as newuidmap(1) takes it after the process id. */
static bool run_mapper(char *program, pid_t pid, const char *map) {
  char id[24], *words = strdup(map), *args[64] = {program, id};
  int count = 2;
  if (!words) return false;
  snprintf(id, sizeof id, "%d", pid);
  for (char *word = strtok(words, " "); word && count < 63; word = strtok(NULL, " ")) args[count++] = word;
  pid_t child = fork();
  if (child == 0) {
    execv(program, args);
    _exit(127);
  }
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  free(words);
  return status == 0;
}

/* A process that stays outside maps many ids; without its help a process may map itself alone, and then has no supplementary groups. */
static bool map_ids(pid_t mapper, uid_t uid, gid_t gid) {
  char text[64];
  int status;
  if (mapper > 0 && waitpid(mapper, &status, 0) == mapper && status == 0) return true;
  snprintf(text, sizeof text, "0 %u 1", uid);
  if (!write_map("/proc/self/uid_map", text)) return false;
  snprintf(text, sizeof text, "0 %u 1", gid);
  return write_map("/proc/self/setgroups", "deny") && write_map("/proc/self/gid_map", text);
}

/* userns NEWUIDMAP UID-MAP NEWGIDMAP GID-MAP PROGRAM ARGUMENT...: empty maps map the caller alone. */
int enter_user_namespace(int argc, char **argv) {
  int ready[2];
  uid_t uid = getuid();
  gid_t gid = getgid();
  pid_t self = getpid(), mapper = -1;
  if (argc < 5) return 2;
  if (pipe2(ready, O_CLOEXEC) < 0) return complain("pipe");
  if (*argv[1] && *argv[3]) mapper = fork();
  if (mapper == 0) {
    char byte;
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) _exit(1);
    _exit(run_mapper(argv[0], self, argv[1]) && run_mapper(argv[2], self, argv[3]) ? 0 : 1);
  }
  if (unshare(CLONE_NEWUSER) < 0) return complain("unshare");
  if (write(ready[1], "x", 1) != 1) return complain("pipe");
  close(ready[0]);
  close(ready[1]);
  if (!map_ids(mapper, uid, gid)) return complain("uid_map");
  if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0) return complain("setresuid");
  if (unshare(CLONE_NEWNS) < 0 || sys_mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return complain("mount namespace");
  execv(argv[4], argv + 4);
  return complain(argv[4]);
}
