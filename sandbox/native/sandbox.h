/*
 * tsbuild-sandbox: the mechanism behind sandbox/executor-native.ts. It does what its program lists, in that order, and decides nothing.
 *
 *   node ── keeper (host namespaces: output, kill, cgroup cleanup) ── guard (pid 1 of an outer pid namespace) ── step (pid 1 of its own)
 *
 * The keeper notices that node is gone or wants the step dead by its socket, and cleans up either way. Should the keeper be killed, the guard
 * dies with it (PR_SET_PDEATHSIG, which the guard's program cannot clear as the step's could), and with the guard the kernel kills everything
 * in its pid namespace.
 *
 * A program is for one step, and a keeper executes one after another. It has three parts: the keeper's commands, the step's prelude and, when it
 * is known, the step's own. Part: u32 size, commands. Command: u32 count, strings; the first one names
 * it. String: u32 size, bytes, NUL. Little endian. The input is trusted; the file trees it names are hostile.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* The socket to node: program in, records out. */
#define CONTROL_FD 3

struct bytes {
  char *data; /* followed by a NUL */
  uint32_t size;
};

struct command {
  uint32_t argc;
  struct bytes *argv;
};

struct program {
  uint32_t count;
  struct command *commands;
  char *text; /* that the arguments point into */
};

/* A directory in which mount points had to be made; its times are put back. */
struct parent {
  int fd;
  dev_t dev;
  ino_t ino;
  struct timespec times[2];
};

/* A mount point that had to be made; it is removed after the step if it is still the same and empty. */
struct stub {
  int parent; /* index of its struct parent */
  dev_t dev;
  ino_t ino;
  bool directory;
  char name[256];
};

#define MAX_STUBS 512
#define MAX_HIERARCHIES 32

/* Memory shared by keeper, guard and step; empty when a program begins. */
struct report {
  bool failed;
  int error; /* errno */
  char command[32];
  char subject[4096];
  char detail[512];
  bool devices_filtered;
  int parts_read; /* by the step: its prelude, its own commands */
  int cgroup_count, cgroups[MAX_HIERARCHIES]; /* descriptors of the guard: cgroup.procs of what the step has joined */
  bool finished;
  int status; /* as wait4 gives it */
  struct rusage usage;
  char notes[2048]; /* lines */
  int stub_count, parent_count;
  struct stub stubs[MAX_STUBS];
  struct parent parents[MAX_STUBS];
};

extern struct report *report;

/* program.c */
struct program read_program(int fd);
void free_program(struct program *p);
const char *arg(const struct command *c, uint32_t index);
uint64_t number_arg(const struct command *c, uint32_t index, int base);
void send_record(char type, const void *data, size_t size);
void send_text(char type, const char *first, const char *second);
void note(const char *text);
/* Records the failure of the command that is being run, and leaves: the keeper to `recovery`, others the process. */
extern jmp_buf *recovery;
_Noreturn void fail(const char *subject, const char *detail, int error);

/* files.c: the text of a file, ended by a NUL; -1 with errno. */
ssize_t read_text(const char *path, char *text, size_t size);
bool write_text(const char *path, const char *text);

/* step.c: runs the parts behind the keeper's; never returns. */
_Noreturn void run_step(void);
uint64_t permitted_capabilities(void);
void set_capabilities(uint64_t permitted, uint64_t effective);

/* What a command's name stands for; tables end with a NULL name. */
struct known_command {
  const char *name;
  uint32_t min_argc; /* the name included */
  void (*run)(const struct command *c);
};
extern const struct known_command file_commands[], mount_commands[], tree_commands[], network_commands[], keeper_network_commands[];
extern const struct known_command user_commands[], keeper_user_commands[];
void run_command(const struct command *c, const struct known_command *const *tables);

/* mounts.c: detached mounts by number */
int slot(const struct command *c, uint32_t index);
void move_to(int mount, int target, const char *subject);

/* tree.c: paths below the step's root */
extern int root_fd;
int open_in(int dir, const char *path, uint64_t flags, uint64_t resolve);
void settle_times(void);
void remove_stubs(void);

/* users.c */
void enter_new_network(const char *subject);
const char *users_refused(void);

/* device-nodes.c */
struct sock_fprog;
struct epoll_event;
void watch_for_steps(int events);
void install_asking_filter(struct sock_fprog *filter);
void start_serving(int events, const struct epoll_event *event, int unified);

/* userns.c */
int enter_user_namespace(int argc, char **argv);

/* What glibc has no wrapper for in the versions that are still around. */
static inline int sys_open_tree(int dir, const char *path, unsigned flags) { return (int)syscall(SYS_open_tree, dir, path, flags); }
static inline int sys_move_mount(int from, int to, unsigned flags) { return (int)syscall(SYS_move_mount, from, "", to, "", flags); }
static inline int sys_fsopen(const char *type, unsigned flags) { return (int)syscall(SYS_fsopen, type, flags); }
static inline int sys_fsmount(int fs, unsigned flags, unsigned attrs) { return (int)syscall(SYS_fsmount, fs, flags, attrs); }
static inline int sys_fsconfig(int fs, unsigned cmd, const char *key, const char *value) {
  return (int)syscall(SYS_fsconfig, fs, cmd, key, value, 0);
}
static inline int sys_mount_setattr(int fd, unsigned flags, struct mount_attr *attr) {
  return (int)syscall(SYS_mount_setattr, fd, "", flags | AT_EMPTY_PATH, attr, sizeof *attr);
}
static inline int sys_mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data) {
  return (int)syscall(SYS_mount, source, target, type, flags, data);
}
static inline int sys_umount(const char *target, int flags) { return (int)syscall(SYS_umount2, target, flags); }
static inline int sys_close_range(unsigned first, unsigned last, unsigned flags) { return (int)syscall(SYS_close_range, first, last, flags); }

#define DETACH 2 /* MNT_DETACH */

#endif
