#include "deploy/esbuild.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define ARGUMENTS_MAX 32

/* CommonJS packages ask for Node's modules while they run: those that are built in are
 * there. What esbuild puts into the bundle asks for `require` by name. */
static const char banner[] =
	"--banner:js=var require = (id) => {"
	" const found = process.getBuiltinModule(id);"
	" if (found) return found;"
	" throw Object.assign(new Error(`Cannot find module '${id}'`), { code: "
	"'MODULE_NOT_FOUND' });"
	" };";

/* A bundle is a module, also one that imports and exports nothing. */
static const char footer[] = "--footer:js=export {};";

static int start(const char *folder, char *const *arguments, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int result = posix_spawn_file_actions_init(&actions);
	if (result != 0)
		return -result;
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	posix_spawn_file_actions_addchdir_np(&actions, folder);
	result = posix_spawnp(ret_pid, "esbuild", &actions, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -result;
}

static int wait_for(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

/* Runs esbuild with ARGUMENTS, and says of FAILED what it was that failed. */
static int run(const char *folder, char *const *arguments, const char *shown, const char *failed,
	struct error *error)
{
	pid_t pid;
	int result = start(folder, arguments, &pid);
	if (result == -ENOENT)
		return error_set(error, ENOENT,
			"%s has to be %s, and there is no esbuild in PATH: install it (npm "
			"install --global esbuild, or the package esbuild), or do it yourself "
			"and say --bundle never",
			shown, failed);
	if (result < 0)
		return error_errno(error, -result, "cannot run esbuild");
	int status = wait_for(pid);
	if (status == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		return error_set(error, EINVAL, "%s cannot be %s: what is wrong stands above",
			shown, failed);
	return error_set(error, EIO, "esbuild ended with status %d while %s was %s",
		status < 0 || WIFSIGNALED(status) ? status : WEXITSTATUS(status), shown, failed);
}

/* React's way, unless the project says otherwise. */
static char *jsx_option(const char *folder)
{
	char tsconfig[4200];
	snprintf(tsconfig, sizeof tsconfig, "%s/tsconfig.json", folder);
	return access(tsconfig, F_OK) < 0 ? "--jsx=automatic" : NULL;
}

int esbuild_run(const char *folder, const char *entry, const char *out, const char *metafile,
	const char *shown, struct error *error)
{
	char out_option[600], metafile_option[600], entry_path[1100];
	char *arguments[ARGUMENTS_MAX] = {"esbuild", entry_path, "--bundle", "--format=esm",
		"--platform=node", "--target=node24", "--main-fields=module,main",
		"--entry-names=[name]", "--asset-names=[name]-[hash]", "--sourcemap=linked",
		"--external:tenantd:*", "--charset=utf8", "--legal-comments=inline",
		"--log-level=warning", "--color=false",
		"--define:process.env.NODE_ENV=\"production\"",
		/* Of CommonJS; where a module has variables of these names, they stay. */
		"--define:__filename=import.meta.filename",
		"--define:__dirname=import.meta.dirname", (char *)banner, (char *)footer,
		out_option, metafile_option};
	size_t count = 0;
	while (arguments[count])
		count++;
	snprintf(out_option, sizeof out_option, "--outdir=%s", out);
	snprintf(metafile_option, sizeof metafile_option, "--metafile=%s", metafile);
	snprintf(entry_path, sizeof entry_path, "./%s", entry);
	arguments[count] = jsx_option(folder);
	return run(folder, arguments, shown, "bundled", error);
}

int esbuild_transform(const char *folder, char *const *files, size_t count, const char *out,
	const char *shown, struct error *error)
{
	char out_option[600];
	char *options[] = {"esbuild", "--platform=node", "--target=node24", "--outbase=.",
		"--sourcemap=linked", "--charset=utf8", "--legal-comments=inline",
		"--log-level=warning", "--color=false", out_option, jsx_option(folder)};
	const size_t used = ARRAY_LENGTH(options) - (options[ARRAY_LENGTH(options) - 1] == NULL);
	cleanup_free char **arguments = calloc(used + count + 1, sizeof *arguments);
	if (!arguments)
		return error_errno(error, ENOMEM, "cannot run esbuild");
	snprintf(out_option, sizeof out_option, "--outdir=%s", out);
	memcpy(arguments, options, used * sizeof *options);
	memcpy(arguments + used, files, count * sizeof *files);
	return run(folder, arguments, shown, "turned into JavaScript", error);
}
