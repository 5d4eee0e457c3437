chmod 755 tool
setcap cap_net_raw+ep tool
