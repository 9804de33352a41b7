/* What the files of attacks share, and each attack by name. Private to test/escape/. */
#pragma once

#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* errno stays as it was when the call succeeds. */
#define CALL(...) syscall(__VA_ARGS__)
#define HIGH_BIT (1ul << 32)

typedef const struct attack_target target_t;
typedef long attack_act(target_t *target);

static inline long path_in(target_t *target, const char *name, char *path, size_t size)
{
	return snprintf(path, size, "%s/%s", target->folder, name);
}

static inline long open_path(const char *path, int flags)
{
	return CALL(SYS_openat, AT_FDCWD, path, flags, 0600);
}

/* The folder that PATH is in, into BUFFER of 256 bytes. */
static inline char *dirname_of(const char *path, char *buffer)
{
	snprintf(buffer, 256, "%s", path);
	char *slash = strrchr(buffer, '/');
	if (slash)
		*slash = 0;
	return buffer;
}

attack_act open_own_program;
attack_act open_parents_program;
attack_act find_leaked_descriptor;
attack_act open_through_descriptors;
attack_act open_outside;
attack_act stat_outside;
attack_act walk_up;
attack_act walk_up_from_own_folder;
attack_act create_file;
attack_act create_in_root;
attack_act create_unnamed_file;
attack_act open_for_writing;
attack_act truncate_on_open;
attack_act make_handle;
attack_act change_root;
attack_act mount_tmpfs;
attack_act mount_proc;
attack_act remount_writable;
attack_act set_mount_writable;
attack_act clone_mount;
attack_act unmount_root;
attack_act make_filesystem;
attack_act type_ahead;
attack_act type_ahead_high_bit;
attack_act paste_console;
attack_act take_terminal;
attack_act fork_process;
attack_act clone_process;
attack_act clone_user_namespace;
attack_act clone3_process;
attack_act vfork_process;
attack_act become_root;
attack_act become_root_group;
attack_act join_groups;
attack_act raise_capabilities;
attack_act clear_securebits;
attack_act become_dumpable;
attack_act outlive_supervisor;
attack_act raise_core_limit;
attack_act raise_file_limit;
attack_act lock_memory;
attack_act trace_victim;
attack_act read_victim;
attack_act write_victim;
attack_act open_victims_memory;
attack_act hold_victim;
attack_act steal_descriptor;
attack_act compare_victim;
attack_act signal_victim;
attack_act signal_everybody;
attack_act signal_any_process;
attack_act signal_victims_thread;
attack_act queue_signal;
attack_act send_signals_by_descriptor;
attack_act pin_victim;
attack_act slow_victim;
attack_act limit_victim;
attack_act slow_victims_disk;
attack_act become_urgent;
attack_act become_realtime;
attack_act connect_abstract;
attack_act connect_path;
attack_act connect_tcp;
attack_act connect_mptcp;
attack_act bind_tcp;
attack_act listen_unbound;
attack_act send_udp;
attack_act send_fastopen;
attack_act reuse_listener_connect;
attack_act reuse_listener_sendto;
attack_act reuse_listener_sendmsg;
attack_act reuse_listener_sendmmsg;
attack_act reuse_listener_bind;
attack_act connect_on_first_write;
attack_act mark_socket;
attack_act listen_again;
attack_act reuse_connection_connect;
attack_act reuse_connection_listen;
attack_act reuse_connection_fastopen;
attack_act reuse_connection_as_listener;
attack_act repair_connection;
attack_act filter_connection;
attack_act hand_connection_to_protocol;
attack_act make_ring;
attack_act make_anonymous_file;
attack_act make_user_fault_descriptor;
attack_act add_key;
attack_act weaken_layout;
attack_act share_memory;
attack_act nest_filter;
attack_act call_i386;
attack_act call_x32;
attack_act call_with_high_number;
attack_act execute_file;
attack_act execute_anonymous_file;
attack_act map_file_executable;
attack_act map_writable_code;
attack_act make_executable;
attack_act make_executable_by_key;
attack_act truncate_file;
attack_act make_folder;
attack_act make_link;
attack_act make_symlink;
attack_act make_device;
attack_act rename_file;
attack_act remove_file;
attack_act change_mode;
attack_act change_owner;
attack_act change_times;
attack_act set_attribute;
attack_act watch_file;
attack_act open_sysrq;
attack_act open_core_pattern;
attack_act open_kcore;
attack_act open_environment;
attack_act open_maps;
attack_act open_sys;
attack_act open_cgroups;
attack_act open_memory_device;
attack_act open_null;
attack_act unshare_user;
attack_act unshare_user_and_net;
attack_act unshare_mounts;
attack_act unshare_pid;
attack_act unshare_net;
attack_act unshare_ipc;
attack_act unshare_uts;
attack_act unshare_cgroup;
attack_act open_own_program_to_write;
attack_act execute_own_program;
attack_act leave_by_descriptor_links;
attack_act leave_reachable_tree;
attack_act dance_out_of_chroot;
attack_act mount_cgroup;
attack_act open_keys;
attack_act open_uevent_helper;
attack_act open_binfmt;
attack_act open_release_agent;
attack_act open_modprobe;
attack_act open_terminal;
attack_act clone_mounts;
attack_act clone_pid;
attack_act clone_net;
attack_act clone_ipc;
attack_act clone_uts;
attack_act clone_cgroup;
attack_act clone3_user_namespace;
attack_act unshare_time;
attack_act join_victims_namespaces;
attack_act clone_vm_process;
attack_act clear_no_new_privileges;
attack_act raise_ambient;
attack_act keep_capabilities;
attack_act ask_to_be_traced;
attack_act signal_by_pidfd;
attack_act send_signals_by_ioctl;
attack_act connect_mapped;
attack_act connect_ipv6;
attack_act connect_any_address;
attack_act connect_metadata;
attack_act bind_to_device;
attack_act route_by_source;
attack_act force_buffer;
attack_act choose_congestion_control;
attack_act list_interfaces;
attack_act open_socket_high_bits;
attack_act execute_descriptor_link;
attack_act execute_loader;
attack_act execute_script;
attack_act open_victims_environment;
attack_act open_victims_maps;
attack_act open_victims_command;
attack_act open_run;
attack_act write_own_memory;
attack_act peek_at_victim;
attack_act grant_open_write;
attack_act grant_open_read_write;
attack_act grant_open_truncate;
attack_act grant_open_create;
attack_act grant_open_unnamed;
attack_act grant_truncate;
attack_act grant_mkdir;
attack_act grant_unlink;
attack_act grant_chmod;
attack_act grant_utimes;
attack_act grant_symlink;
attack_act grant_rename;
attack_act grant_fchmod;
attack_act grant_futimes;
attack_act grant_fchown;
attack_act grant_link_out;
attack_act grant_link_in;
attack_act grant_rename_out;
attack_act grant_rename_in;
attack_act grant_exchange;
attack_act grant_link_descriptor;
attack_act grant_link_outside;
attack_act grant_list_parent;
attack_act grant_make_device;
attack_act grant_make_fifo;
attack_act grant_make_socket;
attack_act grant_setuid;
attack_act grant_setuid_high;
attack_act grant_setuid_descriptor;
attack_act grant_create_setuid;
attack_act grant_mkdir_setgid;
attack_act grant_chown;
attack_act grant_attribute;
attack_act grant_lease;
attack_act grant_notify;
attack_act grant_whiteout;
attack_act grant_rmdir;
attack_act grant_follow;
attack_act grant_follow_own;
attack_act grant_truncate_through_link;
attack_act grant_follow_up;
attack_act grant_walk_up;
attack_act grant_rename_below;
attack_act grant_open_device;
attack_act grant_execute;
attack_act grant_map_code;
attack_act grant_open_sibling;
attack_act grant_stat_sibling;
attack_act grant_write_file;
attack_act use_received_folder;
attack_act send_descriptor;
