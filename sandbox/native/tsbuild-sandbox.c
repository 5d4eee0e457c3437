/* The keeper and the guard: see sandbox.h. */
#include "sandbox.h"
#include <linux/bpf.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/*
 * Goes on from a sealed copy in memory: the step's program can be made to name /proc/self/exe, and nothing it then writes may reach the
 * helper's file (CVE-2019-5736).
 */
static void seal_self(char **argv) {
  int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (self < 0 || fstat(self, &st) < 0) fail("/proc/self/exe", "", errno);
  int seals = fcntl(self, F_GET_SEALS);
  if (seals >= 0 && (seals & SEALS) == SEALS) {
    close(self);
    return;
  }
  int copy = memfd_create("tsbuild-sandbox", MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x10U /* MFD_EXEC */);
  if (copy < 0) copy = memfd_create("tsbuild-sandbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  off_t done = 0;
  while (copy >= 0 && done < st.st_size && sendfile(copy, self, &done, (size_t)(st.st_size - done)) > 0) {
  }
  char *env[] = {NULL};
  if (done == st.st_size && fcntl(copy, F_ADD_SEALS, SEALS) == 0) syscall(SYS_execveat, copy, "", argv, env, AT_EMPTY_PATH);
  /* vm.memfd_noexec forbids it. No program of a step ever runs in a pid namespace beside ours, so this is the second lock on that door. */
  note("the helper runs from its file: this kernel executes nothing in memory");
  if (copy >= 0) close(copy);
  close(self);
}

/* ---- commands of the keeper ---- */

/* read KEY PATH: reported under KEY; a file that is not there is not reported. */
static void read_file(const struct command *c) {
  char text[4096];
  if (read_text(arg(c, 2), text, sizeof text) >= 0) send_text('r', arg(c, 1), text);
}

/* device-filter CGROUP PROGRAM: eBPF that is asked about every device (v2); older kernels have none, and then mounts forbid devices. */
static void filter_devices(const struct command *c) {
  union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                         .insn_cnt = c->argv[2].size / 8,
                         .insns = (uint64_t)(uintptr_t)c->argv[2].data,
                         .license = (uint64_t)(uintptr_t)"Apache-2.0"};
  int group = open(arg(c, 1), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
  union bpf_attr attach = {.target_fd = (uint32_t)group,
                           .attach_bpf_fd = (uint32_t)program,
                           .attach_type = BPF_CGROUP_DEVICE,
                           .attach_flags = BPF_F_ALLOW_MULTI};
  if (group >= 0 && program >= 0 && syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) == 0) report->devices_filtered = true;
  if (group >= 0) close(group);
  if (program >= 0) close(program);
}

static void remove_directory(const struct command *c) {
  for (int attempt = 0; attempt < 200 && rmdir(arg(c, 1)) < 0 && errno == EBUSY; attempt++) usleep(1000);
}

static void make_directory(const struct command *c) {
  if (mkdir(arg(c, 1), 0755) < 0 && errno != EEXIST) fail(arg(c, 1), "", errno);
}

/* thaw-to-kill DIRECTORY: of v1's freezer, in which somebody may freeze the step; what is frozen there does not even die. */
static const char *freezer;
static void remember_freezer(const struct command *c) { freezer = arg(c, 1); }

static void thaw(void) {
  char path[4200];
  snprintf(path, sizeof path, "%s/freezer.state", freezer ? freezer : "");
  if (freezer) write_text(path, "THAWED");
}

/* ---- the guard ---- */

struct spawn {
  uint64_t namespaces;
  int cgroup; /* of a v2 hierarchy, or -1 */
};

static pid_t start(struct clone_args *args) { return (pid_t)syscall(SYS_clone3, args, sizeof *args); }

/* Kernels before 5.6, and those built without time namespaces, take the flag for an invalid one: a step shares the host's clocks there. */
static pid_t start_isolated(struct clone_args *args) {
  pid_t step = start(args);
  if (step >= 0 || errno != EINVAL || !(args->flags & CLONE_NEWTIME)) return step;
  args->flags &= ~(uint64_t)CLONE_NEWTIME;
  return start(args);
}

/* Gives what the guard waits on: signals, and what the step adds. */
static int watch_signals(int *signals) {
  sigset_t known;
  sigemptyset(&known);
  sigaddset(&known, SIGTERM);
  sigaddset(&known, SIGCHLD);
  *signals = signalfd(-1, &known, SFD_CLOEXEC);
  int events = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data = {.fd = *signals}};
  if (*signals < 0 || events < 0 || epoll_ctl(events, EPOLL_CTL_ADD, *signals, &event) < 0) fail("epoll", "", errno);
  watch_for_steps(events);
  return events;
}

static void take_signal(int signals, pid_t step) {
  struct signalfd_siginfo signal;
  if (read(signals, &signal, sizeof signal) != sizeof signal) return;
  if (signal.ssi_signo == SIGTERM) kill(step, SIGKILL);
  /* The step was pid 1: the kernel has killed and reaped the rest of its namespace before it lets us have its status. */
  if (wait4(step, &report->status, WNOHANG, &report->usage) == step) report->finished = true;
}

_Noreturn static void run_guard(const struct spawn *spawn, int alive) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct pollfd keeper = {.fd = alive, .events = POLLIN};
  if (poll(&keeper, 1, 0) != 0) _exit(0); /* the keeper died before PDEATHSIG was set */
  int signals, events = watch_signals(&signals);
  struct clone_args args = {.flags = spawn->namespaces | CLONE_FILES, .exit_signal = SIGCHLD};
  if (spawn->cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = (uint64_t)spawn->cgroup;
  }
  pid_t step = start_isolated(&args);
  if (step < 0) fail("namespaces", "", errno);
  if (step == 0) run_step();
  struct epoll_event event;
  while (!report->finished) {
    if (epoll_wait(events, &event, 1, -1) != 1) continue;
    if (event.data.fd != signals) start_serving(events, &event, spawn->cgroup);
    else take_signal(signals, step);
  }
  remove_stubs();
  _exit(0);
}

/* ---- the keeper ---- */

static void forward(struct pollfd *from, char type) {
  static char buffer[1 << 16];
  ssize_t n = read(from->fd, buffer, sizeof buffer);
  if (n < 0 && errno == EINTR) return;
  if (n > 0) {
    send_record(type, buffer, (size_t)n);
    return;
  }
  close(from->fd);
  from->fd = -1;
}

static void keep(pid_t guard, int out, int err) {
  struct pollfd fds[3] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}, {.fd = CONTROL_FD, .events = POLLRDHUP}};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (poll(fds, 3, -1) < 0) continue;
    if (fds[0].revents) forward(&fds[0], 'o');
    if (fds[1].revents) forward(&fds[1], 'e');
    if (fds[2].revents) { /* node wants an end, or has met its own */
      kill(guard, SIGTERM);
      thaw();
      fds[2].fd = -1;
    }
  }
  while (waitpid(guard, NULL, 0) < 0 && errno == EINTR) {
  }
}

static void run_guarded(const struct spawn *spawn) {
  int out[2], err[2], alive[2];
  if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(alive, O_CLOEXEC) < 0) fail("pipe", "", errno);
  struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
  pid_t guard = start(&args);
  if (guard < 0) fail("pid namespace", "", errno);
  if (guard == 0) {
    recovery = NULL;
    dup2(out[1], 1);
    dup2(err[1], 2);
    int unneeded[] = {out[0], out[1], err[0], err[1], alive[1]};
    for (size_t i = 0; i < sizeof unneeded / sizeof *unneeded; i++) close(unneeded[i]);
    run_guard(spawn, alive[0]);
  }
  close(out[1]);
  close(err[1]);
  close(alive[0]);
  keep(guard, out[0], err[0]);
  close(alive[1]);
}

static uint64_t namespace_flags(const char *names) {
  static const struct {
    const char *name;
    uint64_t flag;
  } known[] = {{"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"uts", CLONE_NEWUTS},
               {"ipc", CLONE_NEWIPC},  {"net", CLONE_NEWNET}, {"time", CLONE_NEWTIME}};
  uint64_t flags = 0;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strstr(names, known[i].name)) flags |= known[i].flag;
  return flags;
}

static void spawn_step(const struct command *c) {
  const char *cgroup = arg(c, 2);
  struct spawn spawn = {.namespaces = namespace_flags(arg(c, 1)), .cgroup = -1};
  if (*cgroup) {
    spawn.cgroup = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (spawn.cgroup < 0) fail(cgroup, "", errno);
  }
  run_guarded(&spawn);
  if (spawn.cgroup >= 0) close(spawn.cgroup);
}

static void tell_outcome(const struct command *c);

static const struct known_command keeper_commands[] = {
    {"thaw-to-kill", 2, remember_freezer}, {"tell", 1, tell_outcome},
    {"mkdir", 2, make_directory}, {"spawn", 3, spawn_step},         {"read", 3, read_file},
    {"rmdir", 2, remove_directory}, {"device-filter", 3, filter_devices}, {NULL, 0, NULL},
};

/* After a failure the commands behind `spawn` still run: they clean up. */
static void run_keeper(const struct program *p) {
  const struct known_command *const tables[] = {file_commands, keeper_network_commands, keeper_user_commands, keeper_commands, NULL};
  jmp_buf after_failure;
  volatile bool spawned = false;
  for (volatile uint32_t i = 0; i < p->count; i++) {
    bool spawns = strcmp(arg(&p->commands[i], 0), "spawn") == 0;
    if (report->failed && !spawned) {
      spawned = spawns;
      continue;
    }
    spawned = spawned || spawns;
    recovery = &after_failure;
    if (setjmp(after_failure) == 0) run_command(&p->commands[i], tables);
    recovery = NULL;
  }
}

/* `again`: the keeper stays for another program. */
static void send_outcome(bool again) {
  char text[8192];
  if (report->notes[0]) send_text('n', report->notes, "");
  for (int i = 0; i < report->stub_count; i++) send_text('s', report->stubs[i].name, "");
  if (report->failed) {
    snprintf(text, sizeof text, "%s%c%s%c%d%c%s", report->command, 1, report->subject, 1, report->error, 1, report->detail);
    send_text('f', text, "");
  }
  if (report->finished) {
    const struct rusage *u = &report->usage;
    long long cpu_us = (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000LL + u->ru_utime.tv_usec + u->ru_stime.tv_usec;
    snprintf(text, sizeof text, "%d %lld %ld %ld %ld", report->status, cpu_us, u->ru_maxrss, u->ru_inblock, u->ru_oublock);
    send_text('x', text, "");
  }
  send_text('d', again ? "again" : "", "");
}

static void isolate_keeper(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL); /* node alone ends a step; Ctrl-C at the terminal is node's to interpret */
  signal(SIGPIPE, SIG_IGN);
  setsid();
  umask(0);
  prctl(PR_SET_DUMPABLE, 0);
  sys_close_range(CONTROL_FD + 1, ~0U, 0);
}

static bool told;

/* Whether all went as it should, so that another program may follow. */
static bool stays(void) { return report->finished && !report->failed && report->parts_read == 2; }

/* tell: node need not wait for the commands that follow. A keeper that leaves tells its outcome last, so that nothing is left when it is gone. */
static void tell_outcome(const struct command *c) {
  (void)c;
  told = stays();
  if (told) send_outcome(true);
}

/* Executes one program. @return whether all went as it should, so that another one may follow. */
static bool run_one(jmp_buf *failed) {
  recovery = failed;
  struct program p = read_program(CONTROL_FD);
  run_keeper(&p);
  free_program(&p);
  if (stays()) return true;
  /* Node writes the step's commands in any case; to a socket that is closed by then it would lose what we have to say. */
  for (; report->parts_read < 2; report->parts_read++) read_program(CONTROL_FD);
  return false;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "userns") == 0) return enter_user_namespace(argc - 2, argv + 2);
  if (argc < 2 || strcmp(argv[1], "run") != 0) {
    fprintf(stderr, "tsbuild-sandbox is a part of tsbuild and started by it\n");
    return 2;
  }
  isolate_keeper();
  report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (report == MAP_FAILED) return 125;
  jmp_buf failed;
  recovery = &failed;
  if (setjmp(failed) == 0) {
    seal_self(argv);
    while (run_one(&failed)) {
      if (!told) send_outcome(true);
      told = false;
      memset(report, 0, offsetof(struct report, stubs));
      freezer = NULL;
    }
  }
  send_outcome(false);
  return 0;
}
