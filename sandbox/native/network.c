/* Networks of steps: a bridge of the host with a pair of interfaces for each step, or a program that is the network (slirp4netns, pasta). */
#include "sandbox.h"
#include <arpa/inet.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Where the network's program finds the namespace, and how long that may take. */
#define NETWORK_FD 4
#define READY_MS 5000

/* ---- netlink ---- */

struct request {
  struct nlmsghdr header;
  char body[1024];
};

static void append(struct request *r, const void *data, size_t size) {
  size_t at = NLMSG_ALIGN(r->header.nlmsg_len);
  if (at + NLMSG_ALIGN(size) > sizeof *r) fail("netlink", "", E2BIG);
  if (size) memcpy((char *)r + at, data, size);
  r->header.nlmsg_len = (uint32_t)(at + NLMSG_ALIGN(size));
}

static struct request begin(int type, int flags, const void *data, size_t size) {
  struct request r = {.header = {.nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags)}};
  append(&r, data, size);
  return r;
}

static void attribute(struct request *r, int type, const void *data, size_t size) {
  struct rtattr a = {.rta_type = (unsigned short)type, .rta_len = (unsigned short)RTA_LENGTH(size)};
  append(r, &a, sizeof a);
  append(r, data, size);
}

static void text_attribute(struct request *r, int type, const char *text) { attribute(r, type, text, strlen(text) + 1); }

/* An attribute that holds those that follow, until `end_nest`. */
static size_t begin_nest(struct request *r, int type) {
  size_t at = NLMSG_ALIGN(r->header.nlmsg_len);
  attribute(r, type, NULL, 0);
  return at;
}

static void end_nest(struct request *r, size_t at) {
  struct rtattr *a = (struct rtattr *)(void *)((char *)r + at);
  a->rta_len = (unsigned short)(r->header.nlmsg_len - at);
}

/* 0 or an errno. */
static int send_request(int fd, struct request *r) {
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char rest[2048];
  } answer;
  if (send(fd, r, r->header.nlmsg_len, 0) < 0) return errno;
  ssize_t n = recv(fd, &answer, sizeof answer, 0);
  if (n < 0) return errno;
  return answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EPROTO;
}

static int open_netlink(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) fail("netlink", "", errno);
  return fd;
}

/* An ordinary socket, for requests by name; like every socket it stays in the namespace that it was made in. */
static int open_socket(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket", "", errno);
  return fd;
}

static int find_interface(int socket, const char *name) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (ioctl(socket, SIOCGIFINDEX, &request) < 0) fail(name, "", errno);
  return request.ifr_ifindex;
}

static void check_answer(int error, const char *subject) {
  if (error) fail(subject, "", error);
}

static void set_up(int fd, int index, const char *name) {
  struct ifinfomsg link = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct request r = begin(RTM_NEWLINK, 0, &link, sizeof link);
  check_answer(send_request(fd, &r), name);
}

/* The argument ADDRESS/PREFIX. */
static void add_address(int fd, int index, const char *text) {
  char address[INET_ADDRSTRLEN];
  unsigned prefix;
  struct in_addr ip;
  if (sscanf(text, "%15[0-9.]/%u", address, &prefix) != 2 || inet_pton(AF_INET, address, &ip) != 1) fail(text, "no address", EINVAL);
  struct ifaddrmsg message = {.ifa_family = AF_INET, .ifa_prefixlen = (unsigned char)prefix, .ifa_index = (unsigned)index};
  struct request r = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &message, sizeof message);
  attribute(&r, IFA_LOCAL, &ip, sizeof ip);
  attribute(&r, IFA_ADDRESS, &ip, sizeof ip);
  check_answer(send_request(fd, &r), text);
}

static void add_default_route(int fd, const char *gateway) {
  struct in_addr ip;
  if (inet_pton(AF_INET, gateway, &ip) != 1) fail(gateway, "no address", EINVAL);
  struct rtmsg route = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
  struct request r = begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
  attribute(&r, RTA_GATEWAY, &ip, sizeof ip);
  check_answer(send_request(fd, &r), gateway);
}

/* ---- bridge ---- */

/* bridge-add NAME ADDRESS/PREFIX */
static void add_bridge(const struct command *c) {
  const char *name = arg(c, 1);
  int fd = open_netlink(), plain = open_socket();
  struct ifinfomsg link = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct request r = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  text_attribute(&r, IFLA_IFNAME, name);
  size_t info = begin_nest(&r, IFLA_LINKINFO);
  text_attribute(&r, IFLA_INFO_KIND, "bridge");
  end_nest(&r, info);
  check_answer(send_request(fd, &r), name);
  add_address(fd, find_interface(plain, name), arg(c, 2));
  close(plain);
  close(fd);
}

/* bridge-remove NAME: or nothing, where it is not there. */
static void remove_bridge(const struct command *c) {
  int fd = open_netlink(), plain = open_socket();
  struct ifreq found = {0};
  snprintf(found.ifr_name, sizeof found.ifr_name, "%s", arg(c, 1));
  int index = ioctl(plain, SIOCGIFINDEX, &found) < 0 ? 0 : found.ifr_ifindex;
  close(plain);
  struct ifinfomsg link = {.ifi_index = index};
  struct request r = begin(RTM_DELLINK, 0, &link, sizeof link);
  int error = index == 0 ? 0 : send_request(fd, &r);
  if (error != ENODEV) check_answer(error, arg(c, 1));
  close(fd);
}

/* What is kept of the host's namespace while we leave it. */
struct host {
  int netlink, socket, bridge;
};

/* The host's end, up and on the bridge, where it cannot talk to the other steps; our own end goes into the namespace of process `pid`. */
static void add_pair(const struct host *host, const char *name, const unsigned char *mac, pid_t pid) {
  uint32_t namespace = (uint32_t)pid, master = (uint32_t)host->bridge;
  uint8_t isolated = 1;
  struct ifinfomsg link = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, peer = {0};
  struct request r = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  text_attribute(&r, IFLA_IFNAME, name);
  attribute(&r, IFLA_MASTER, &master, sizeof master);
  size_t info = begin_nest(&r, IFLA_LINKINFO);
  text_attribute(&r, IFLA_INFO_KIND, "veth");
  size_t data = begin_nest(&r, IFLA_INFO_DATA), ours = begin_nest(&r, VETH_INFO_PEER);
  append(&r, &peer, sizeof peer);
  text_attribute(&r, IFLA_IFNAME, "eth0");
  attribute(&r, IFLA_ADDRESS, mac, 6);
  attribute(&r, IFLA_NET_NS_PID, &namespace, sizeof namespace);
  end_nest(&r, ours);
  end_nest(&r, data);
  end_nest(&r, info);
  check_answer(send_request(host->netlink, &r), name);
  struct ifinfomsg port = {.ifi_family = AF_BRIDGE, .ifi_index = find_interface(host->socket, name)};
  struct request p = begin(RTM_SETLINK, 0, &port, sizeof port);
  size_t options = begin_nest(&p, IFLA_PROTINFO | NLA_F_NESTED);
  attribute(&p, IFLA_BRPORT_ISOLATED, &isolated, sizeof isolated);
  end_nest(&p, options);
  check_answer(send_request(host->netlink, &p), name);
}

/*
 * bridge-join BRIDGE NAME ADDRESS/PREFIX GATEWAY: a namespace of our own, connected to the bridge. The kernel removes the pair with the
 * namespace, whoever is killed. The hardware address follows from the other, so that nobody remembers a wrong one when it is used again.
 */
static void join_bridge(const struct command *c) {
  struct host host = {.netlink = open_netlink(), .socket = open_socket()};
  struct in_addr ip = {0};
  char address[INET_ADDRSTRLEN] = "";
  unsigned char mac[6] = {0x02, 0x74};
  host.bridge = find_interface(host.socket, arg(c, 1));
  sscanf(arg(c, 3), "%15[0-9.]", address);
  if (inet_pton(AF_INET, address, &ip) != 1) fail(address, "no address", EINVAL);
  memcpy(mac + 2, &ip, 4);
  if (unshare(CLONE_NEWNET) < 0) fail(arg(c, 0), "", errno);
  add_pair(&host, arg(c, 2), mac, getpid());
  close(host.netlink);
  close(host.socket);
  int inside = open_netlink(), plain = open_socket(), index = find_interface(plain, "eth0");
  set_up(inside, find_interface(plain, "lo"), "lo");
  add_address(inside, index, arg(c, 3));
  set_up(inside, index, "eth0");
  add_default_route(inside, arg(c, 4));
  close(inside);
  close(plain);
}

static void loopback_up(const struct command *c) {
  int fd = open_netlink(), plain = open_socket();
  (void)c;
  set_up(fd, find_interface(plain, "lo"), "lo");
  close(plain);
  close(fd);
}

/* ---- a program as the network ---- */

static int program_namespace = -1; /* inherited by the guard and the step */
static pid_t program_pid = -1;

_Noreturn static void run_network_program(const struct command *c, pid_t keeper) {
  char **argv = calloc(c->argc, sizeof *argv), *env[] = {NULL};
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL); /* pasta takes a signal that is ignored for a failure */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!argv || getppid() != keeper) _exit(125);
  for (uint32_t i = 1; i < c->argc; i++) argv[i - 1] = c->argv[i].data;
  if (dup2(program_namespace, NETWORK_FD) < 0) _exit(125);
  if (program_namespace == NETWORK_FD) fcntl(NETWORK_FD, F_SETFD, 0);
  close(CONTROL_FD);
  sys_close_range(NETWORK_FD + 1, ~0U, 0);
  execve(argv[0], argv, env);
  _exit(127);
}

/* A network namespace that nobody is in. A process in a user namespace could not come back from one: another one makes it. */
static int new_namespace(void) {
  int made[2], ended[2], error = 0;
  char path[64];
  if (pipe2(made, O_CLOEXEC) < 0 || pipe2(ended, O_CLOEXEC) < 0) fail("pipe", "", errno);
  pid_t child = fork();
  if (child < 0) fail("fork", "", errno);
  if (child == 0) {
    close(ended[1]);
    if (unshare(CLONE_NEWNET) < 0) error = errno;
    if (write(made[1], &error, sizeof error) != sizeof error || read(ended[0], &error, 1) < 0) _exit(1);
    _exit(0);
  }
  close(made[1]);
  close(ended[0]);
  if (read(made[0], &error, sizeof error) != sizeof error) error = EPIPE;
  snprintf(path, sizeof path, "/proc/%d/ns/net", child);
  int namespace = error ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (namespace < 0 && !error) error = errno;
  close(made[0]);
  close(ended[1]);
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  if (error) fail("network namespace", "", error);
  return namespace;
}

/* network-start PROGRAM ARGUMENT...: of the keeper; in the arguments the new namespace is /proc/self/fd/4. */
static void start_network(const struct command *c) {
  pid_t keeper = getpid();
  program_namespace = new_namespace();
  program_pid = fork();
  if (program_pid < 0) fail(arg(c, 1), "", errno);
  if (program_pid == 0) run_network_program(c, keeper);
}

/* network-end: of the keeper. */
static void end_network(const struct command *c) {
  (void)c;
  if (program_pid <= 0) return;
  kill(program_pid, SIGKILL);
  while (waitpid(program_pid, NULL, 0) < 0 && errno == EINTR) {
  }
  program_pid = -1;
}

/* network-join: of the step. The program has done its work when there is a way out. */
static void join_network(const struct command *c) {
  char routes[8192];
  if (program_namespace < 0 || setns(program_namespace, CLONE_NEWNET) < 0) fail(arg(c, 0), "", errno);
  loopback_up(c);
  for (int waited = 0; waited < READY_MS; waited++) {
    if (read_text("/proc/self/net/route", routes, sizeof routes) > 0 && strstr(routes, "\t00000000\t")) return;
    usleep(1000);
  }
  fail(arg(c, 0), "the network's program did not make a route", ETIMEDOUT);
}

const struct known_command network_commands[] = {
    {"loopback-up", 1, loopback_up}, {"bridge-join", 5, join_bridge}, {"network-join", 1, join_network}, {NULL, 0, NULL},
};

const struct known_command keeper_network_commands[] = {
    {"bridge-add", 3, add_bridge}, {"bridge-remove", 2, remove_bridge}, {"network-start", 2, start_network},
    {"network-end", 1, end_network}, {NULL, 0, NULL},
};
