/* Files that releases have in common, stored once: STATE/objects/<sha256> is a hard link to
 * the file of every release that has this content. The names are a means to find them, and
 * nothing more: a release is whole without, content is compared and never believed by its
 * name, and whoever loses a race, or finds a full disk or a file system without links, keeps
 * a copy of its own. So there is no count to keep right over a crash: an object that only
 * the name holds is one that no release uses. */
#pragma once

#include "deploy/tree.h"

/* Puts the file that is in OBJECTS_FD already in the place of each file of TREE, which was
 * read from DIR_FD; the others become objects. Returns how many files were shared. */
size_t objects_share(int objects_fd, int dir_fd, const struct tree *tree);

/* Removes the objects that no release uses, and what a crash left behind. May run beside
 * objects_share. Returns how many, or a negative errno. */
int objects_sweep(int objects_fd, struct error *error);
