/* Files that releases of one tenant have in common, stored once: STATE/objects/<tenant>/<sha256>
 * is a hard link to the file of every release of it that has this content. Not of several
 * tenants: one would see from a file's count of links, or by locking it, what another has. The
 * names are a means to find them, and
 * nothing more: a release is whole without, content is compared and never believed by its
 * name, and whoever loses a race, or finds a full disk or a file system without links, keeps
 * a copy of its own. So there is no count to keep right over a crash: an object that only
 * the name holds is one that no release uses. */
#pragma once

#include "deploy/tree.h"

/* The folder of one owner, whose name is fit to be a file's; made if need be. A descriptor, the
 * caller's. */
int objects_open(int objects_fd, const char *owner, struct error *error);

/* Puts the file that is in OBJECTS_FD already in the place of each file of TREE, which was
 * read from DIR_FD; the others become objects. Returns how many files were shared. */
size_t objects_share(int objects_fd, int dir_fd, const struct tree *tree);

/* Removes the objects that no release uses, also of the owners below, and what a crash left behind.
 * May run beside objects_share. Returns how many, or a negative errno. */
int objects_sweep(int objects_fd, struct error *error);
