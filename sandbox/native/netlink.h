/* What the files about networks share. */
#ifndef NETLINK_H
#define NETLINK_H

#include "sandbox.h"
#include <linux/netlink.h>

/* netlink.c */
struct request {
  struct nlmsghdr header;
  char body[1024];
};
struct request begin_request(int type, int flags, const void *data, size_t size);
void append(struct request *r, const void *data, size_t size);
void attribute(struct request *r, int type, const void *data, size_t size);
void text_attribute(struct request *r, int type, const char *text);
size_t begin_nest(struct request *r, int type);
void end_nest(struct request *r, size_t at);
int open_netlink(int protocol);
int send_request(int fd, const struct request *r);

/* nat.c */
void masquerade(const struct command *c);

#endif
