/* Requests to the kernel about its network: a header, then attributes, of which some hold others. */
#include "netlink.h"
#include <linux/rtnetlink.h>
#include <sys/socket.h>

void append(struct request *r, const void *data, size_t size) {
  size_t at = NLMSG_ALIGN(r->header.nlmsg_len);
  if (at + NLMSG_ALIGN(size) > sizeof *r) fail("netlink", "", E2BIG);
  if (size) memcpy((char *)r + at, data, size);
  r->header.nlmsg_len = (uint32_t)(at + NLMSG_ALIGN(size));
}

struct request begin_request(int type, int flags, const void *data, size_t size) {
  struct request r = {.header = {.nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags)}};
  append(&r, data, size);
  return r;
}

void attribute(struct request *r, int type, const void *data, size_t size) {
  struct rtattr a = {.rta_type = (unsigned short)type, .rta_len = (unsigned short)RTA_LENGTH(size)};
  append(r, &a, sizeof a);
  append(r, data, size);
}

void text_attribute(struct request *r, int type, const char *text) { attribute(r, type, text, strlen(text) + 1); }

/* An attribute that holds those that follow, until `end_nest`. */
size_t begin_nest(struct request *r, int type) {
  size_t at = NLMSG_ALIGN(r->header.nlmsg_len);
  attribute(r, type, NULL, 0);
  return at;
}

void end_nest(struct request *r, size_t at) {
  struct rtattr *a = (struct rtattr *)(void *)((char *)r + at);
  a->rta_len = (unsigned short)(r->header.nlmsg_len - at);
}

int open_netlink(int protocol) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) fail("netlink", "", errno);
  return fd;
}

/* 0 or an errno. */
static int read_answer(int fd) {
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char rest[2048];
  } answer;
  ssize_t n = recv(fd, &answer, sizeof answer, 0);
  if (n < 0) return errno;
  return answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EPROTO;
}

/* 0 or an errno. */
int send_request(int fd, const struct request *r) { return send(fd, r, r->header.nlmsg_len, 0) < 0 ? errno : read_answer(fd); }
