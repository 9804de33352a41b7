"""The escape battery: every class of known escapes, and what tries it here.

    battery.py check          is every row tried by something that exists?
    battery.py run [BUILD]    all of it, with the matrix and the counts (make escape)

A row names tests ("file: name", both must be there) or says why nothing can be tried.
Attacks with a row's number in test/escape/attack.c count by themselves: they run
unconfined, in every arrangement of the layers (sandbox_attack_test.c prints the matrix),
in real workers with and without grants, and in a job (escape_test.py)."""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ESCAPE, JS = "test/integration/escape_test.py", "test/integration/escape_js_test.py"
MATRIX, SANDBOX = "test/unit/sandbox_attack_test.c", "test/unit/sandbox_test.c"
GRANT, PATHS = "test/unit/sandbox_grant_test.c", "test/unit/sandbox_grant_paths_test.c"
ARCHIVE = "test/unit/archive_test.c"
FS, FETCH, EGRESS = (f"test/integration/{name}_test.py" for name in ("fs", "fetch", "egress"))
JOB, KILL, KNOW = (f"test/integration/{name}_test.py" for name in ("job", "kill", "know"))
RUN, SERVE, NET = (f"test/integration/{name}_test.py" for name in ("run", "serve", "net"))
BAD, LISTEN, TLS = (f"test/integration/{name}_test.py" for name in ("bad_input", "listen", "tls"))
NEIGHBOURS = "test/neighbours/neighbours_test.py"
REQUEST, RESPONSE, CONNECTION = (f"test/unit/fetch_{name}_test.py"
                                 for name in ("request", "response", "connection"))
MATCH, PROTOCOL = "test/unit/policy_match_test.c", "test/unit/common_protocol_test.c"
INTERNALS, NETWORK = "test/escape/js/internals.mjs", "test/escape/js/network.mjs"
CHILDREN, CONFINED = "test/escape/js/children.mjs", "test/js/fs/confined.mjs"
BOMBS = "test/escape/js/resources.mjs"
SURFACE = "test/escape/js/surface.mjs"


def because(reason):
    return ("because", reason)


# ---- by what the kernel is asked for: (class, what tries it besides attack.c) ----

CLASSES = {
    "E01": ("the runtime's own program overwritten (CVE-2019-5736)", []),
    "E02": ("leaked descriptors (CVE-2024-21626, 2016-9962)",
            [(SANDBOX, "every_other_descriptor_is_closed"), (CHILDREN, "its descriptors are three"),
             (CONFINED, "descriptors of the runtime")]),
    "E03": ("a current folder outside of the root",
            [(SANDBOX, "a_folder_outside_of_the_root_is_found")]),
    "E04": ("pivot_root, chroot, mounts", [(SANDBOX, "the_root_is_empty_and_read_only")]),
    "E05": ("symbolic links and races (CVE-2021-30465, 2025-31133, 2025-52565, 2025-52881, "
            "2024-42472, 2026-41579, 2026-47766)",
            [(BAD, "test_hostile_archives"), (ARCHIVE, "attack_symlink"),
             (ESCAPE, "test_a_release_whose_folders_become_links"),
             (ESCAPE, "test_a_grant_whose_folder_becomes_a_link"),
             (PATHS, "ELOOP"), because("a root whose /dev, /proc or /tmp are links: the root "
                                       "is made empty, none of it is a tenant's")]),
    "E06": ("files of the kernel (CVE-2022-0492)", [(CONFINED, "/sys/kernel")]),
    "E07": ("typing into terminals (CVE-2017-5226, 2023-28100, 2019-10063)", []),
    "E08": ("namespaces inside", [(SANDBOX, "spawn_forbids_nested_users_and_anonymous_programs")]),
    "E09": ("new privileges (CVE-2014-8989)",
            [(SANDBOX, "capabilities_are_gone"), (SANDBOX, "no_dumps_and_no_new_privileges"),
             (SANDBOX, "the_bounding_set_is_emptied"), (SANDBOX, "securebits_are_locked"),
             (JOB, "test_setuid_bits_cannot_be_made"), (JOB, "test_it_is_nobody_but_itself")]),
    "E10": ("ptrace and its family", [(ESCAPE, "test_the_jobs_process_1_is_not_to_be_touched")]),
    "E11": ("signals", [(CHILDREN, "signals to others")]),
    "E12": ("others' priority, processors, limits", []),
    "E13": ("unix sockets, descriptors over them (CVE-2020-15257)", [(NETWORK, "unix sockets")]),
    "E14": ("the network",
            [(FETCH, "test_deny_beats_connect_and_redirects_are_checked"),
             (EGRESS, "test_refuses_a_name_that_resolves_to_this_host"),
             (EGRESS, "test_other_spellings_are_the_same_address"),
             (FETCH, "test_a_name_that_changes_between_two_requests"),
             (JOB, "test_there_is_no_way_around_the_proxy"),
             (LISTEN, "test_what_is_not_granted_cannot_be_listened_on")]),
    "E15": ("io_uring", []),
    "E16": ("kernel surface", [(JOB, "test_forbidden_calls_fail_and_are_told")]),
    "E17": ("other doors into the kernel",
            [because("the vsyscall page has gettimeofday, time and getcpu, which are allowed")]),
    "E18": ("programs without a file, loaders, scripts",
            [(ESCAPE, "test_no_program_without_a_file"), (JOB, "test_only_granted_programs_run"),
             (JOB, "test_what_it_writes_does_not_run")]),
    "E19": ("processes", [(SANDBOX, "seccomp_alone_leaves_threads_and_files"),
                          (CHILDREN, "another program")]),
    "E20": ("code made at run time", [(MATRIX, "without_jit_no_code_can_be_made"),
                                      (RUN, "test_jitless")]),
    "E21": ("resources",
            [(NEIGHBOURS, "test_a_bomb_does_not_disturb_its_neighbours"), (JS, "BombsTest"),
             (JOB, "test_a_fork_bomb_is_contained"), (JOB, "test_descriptors"),
             (SERVE, "test_memory_over_the_limit_kills_only_that_tenant"),
             (FS, "test_tmp_is_private_and_limited"), (SERVE, "test_logs_are_escaped_and_limited"),
             (KILL, "test_nothing_is_left_when_it_stops")]),
    "E22": ("files", [(FS, "test_nothing_outside_of_the_grants"),
                      (GRANT, "a_read_grant_can_be_read_and_nothing_else"), (CONFINED, "a path that is too long"),
                      (CONFINED, "NUL")]),
    "E23": ("environment and secrets",
            [(KNOW, "test_no_process_environment_can_be_read_from_inside"),
             (KNOW, "test_another_tenants_secret_is_out_of_reach"),
             (KNOW, "test_a_secret_is_nowhere_else")]),
    "E24": ("the messages themselves",
            [(ESCAPE, "test_messages_of_every_type_in_every_size"),
             (ESCAPE, "test_once_only_messages_again_and_in_anothers_name"),
             (ESCAPE, "test_what_is_cut_off_or_too_long"), (ESCAPE, "test_garbage_for_egress"),
             (ESCAPE, "test_it_cannot_add_rules_for_itself"),
             (ESCAPE, "test_a_flood_of_audit_messages"),
             (EGRESS, "test_garbage_closes_that_channel_and_nothing_else"),
             (EGRESS, "test_descriptors_that_nobody_wants_are_closed"),
             (EGRESS, "test_who_does_not_read_loses_its_channel"),
             (PROTOCOL, "every_cut_and_addition_of_a_start_is_refused"),
             ("test/fuzz/protocol_fuzz.c", "LLVMFuzzerTestOneInput"),
             because("a job's program has no channel: attack.c finds no descriptor but its own")]),
    "E25": ("death at any moment",
            [(KILL, "test_kill_the_supervisor_again_and_again"), (KILL, "test_kill_the_zygote"),
             (KILL, "test_kill_the_supervisor_while_it_deploys"),
             (ESCAPE, "test_the_supervisor_dies_while_everybody_is_stopped"),
             (ESCAPE, "test_a_stopped_worker_holds_nobody_up"),
             (ESCAPE, "test_a_stopped_zygote_holds_nobody_up_who_runs"),
             (ESCAPE, "test_a_killed_launcher_is_replaced"),
             (FETCH, "test_egress_killed_in_mid_request"),
             (SANDBOX, "spawn_leaves_no_process_when_it_fails"),
             (SANDBOX, "a_process_without_its_supervisor_stops")]),
    "E26": ("the control surface (CVE-2023-26604)",
            [(ESCAPE, "test_the_socket_is_roots"), (ESCAPE, "test_there_is_no_pager"),
             (ESCAPE, "test_another_user_is_refused_whatever_the_mode"),
             (ESCAPE, "test_credentials_of_others_in_a_message_change_nothing"),
             (ESCAPE, "test_nothing_of_a_tenant_reaches_the_terminal_as_it_is"),
             (ESCAPE, "test_a_reason_cannot_forge_the_log_or_the_terminal"),
             (ESCAPE, "test_names_are_no_paths"), (BAD, "test_garbage_on_the_control_socket")]),
}
NO_ATTACKS = {"E05", "E24", "E25", "E26"}  # not of a process against its kernel

# ---- by what other JavaScript runtimes got wrong ----

WINDOWS = because("Windows only")
NO_API = "there is no such API; internals.mjs fails when there is one"
RUNTIMES = {
    # Node
    "2023-23918, 2023-30581": [(INTERNALS, "process.mainModule")],
    "2023-30582": [(CONFINED, "CVE-2023-30582")],
    "2023-30583": [(CONFINED, "CVE-2023-30583")],
    "2023-30584": [(CONFINED, "CVE-2023-30584")],
    "2023-30586": [(INTERNALS, "CVE-2023-30586"), (SURFACE, "CVE-2023-30586")],
    "2023-30587, 2018-7160, inspector.open": [(INTERNALS, "CVE-2023-30587, 2018-7160")],
    "2023-32002, 32006, 32559, 32558": [(INTERNALS, "CVE-2023-32002")],
    "2023-32003": [(CONFINED, "CVE-2023-32003")],
    "2023-32004": [(CONFINED, "CVE-2023-32004")],
    "2023-32005, 2024-22018, 2026-21715, 2026-106073": [(CONFINED, "does it exist?")],
    "2023-38552": [(INTERNALS, "CVE-2023-38552")],
    "2023-39331, 2024-21891, 2024-21896": [(CONFINED, "CVE-2023-39331")],
    "2023-39332": [(CONFINED, "CVE-2023-39332")],
    "2023-39333": [(INTERNALS, "CVE-2023-39333")],
    "2024-21890, 2026-106071": [(JS, "CVE-2024-21890"), (MATCH, "2026-106071")],
    "2024-21892": [because("no capability of the environment is looked at; see E09")],
    "2024-22017": [because("no io_uring; see E15")],
    "2024-22020": [(INTERNALS, "CVE-2024-22020")],
    "2024-36137, 2026-21716, 2025-55132, 2026-48935": [(CONFINED, "CVE-2024-36137")],
    "2024-37372, 2025-23084, 2025-27210": [WINDOWS],
    "2025-23083": [(INTERNALS, "CVE-2025-23083"), (SURFACE, "CVE-2025-23083")],
    "2025-55130": [(CONFINED, "CVE-2025-55130")],
    "2025-55131": [(INTERNALS, "CVE-2025-55131")],
    "2026-21636, 21711, 48936": [(NETWORK, "CVE-2026-21636"), (NETWORK, "CVE-2026-21711")],
    "2026-48617, 58039": [(INTERNALS, "CVE-2026-48617")],
    "2026-56847": [(INTERNALS, "CVE-2026-56847")],
    "2026-58043": [(CONFINED, "CVE-2026-58043"), (MATCH, "CVE-2026-58043")],
    "2026-106074": [(FETCH, "test_two_workers_have_different_randomness"),
                    (RUN, "test_random_values_differ_between_workers")],
    "2026-105482, 48930": [(NETWORK, "CVE-2026-105482"), (MATCH, "CVE-2026-105482")],
    "2026-106069, 106072, 105483": [(NETWORK, "CVE-2026-106069"), (CONNECTION, "CVE-2026-106069"),
                                    (TLS, "test_bad_certificates_are_refused_with_nodes_codes")],
    "2026-111497": [(RESPONSE, "CVE-2026-111497")],
    "2026-58041": [(INTERNALS, "CVE-2026-58041"), (SURFACE, "2026-58041")],
    "2026-58042": [(EGRESS, "test_many_addresses_are_bounded_and_come_by_tcp")],
    "2026-58045": [(INTERNALS, "CVE-2026-58045")],
    "2026-48933": [(INTERNALS, "CVE-2026-48933")],
    "2026-48615": [(REQUEST, "CVE-2026-48615")],
    "2026-21710": [(NETWORK, "CVE-2026-21710"), (REQUEST, "CVE-2026-21710")],
    "2026-21712": [(INTERNALS, "CVE-2026-21712")],
    "2025-27209, 2026-21717": [(INTERNALS, "CVE-2025-27209")],
    "process._debugProcess, execve, v8.setFlagsFromString, env files":
        [(INTERNALS, "process._debugProcess"), (INTERNALS, "process.execve"),
         (INTERNALS, "setFlagsFromString"), (INTERNALS, "CVE-2026-49983")],
    "/proc/<ppid>/environ, /dev/fd/../environ": [(CONFINED, "/dev/fd/../environ")],
    # Deno
    "2021-32619": [(INTERNALS, "CVE-2021-32619")],
    "2021-41641": [(CONFINED, "CVE-2021-41641")],
    "2022-24783, 2024-27934": [(INTERNALS, "CVE-2022-24783")],
    "2023-22499, 2023-28446, 2024-27936, 2024-32477":
        [(ESCAPE, "test_nothing_of_a_tenant_reaches_the_terminal_as_it_is"),
         because("nothing asks the operator anything")],
    "2023-28445": [(CONFINED, "GHSA-c25x-cm9x-qqgx"), (INTERNALS, "CVE-2023-28445")],
    "2023-33966": [(NETWORK, "CVE-2023-33966")],
    "2024-27931": [(CONFINED, "CVE-2023-32003")],
    "2024-27932": [(NETWORK, "CVE-2024-27932"), (MATCH, "CVE-2024-27932")],
    "2024-27933": [(CONFINED, "GHSA-6q4w-9x56-rmwq"), (NETWORK, "a descriptor is no socket")],
    "2024-27935": [(CONFINED, "GHSA-wrqv-pf6j-mqjp")],
    "2024-34346": [(CONFINED, "/proc/self/mem")],
    "2025-24015, 2026-22863, 2026-49440": [(INTERNALS, "CVE-2025-24015, 2026-22863"),
                                           (INTERNALS, "CVE-2026-49440")],
    "2025-48888": [(MATCH, "CVE-2025-48888"), (EGRESS, "test_deny_beats_allow_by_name")],
    "2025-48934": [(KNOW, "CVE-2025-48934")],
    "2025-48935": [(SURFACE, "CVE-2025-48935")],
    "2025-61785, 61786": [(CONFINED, "2025-55132")],
    "2025-61787, 2026-22864, 2026-49402": [WINDOWS, (CHILDREN, "CVE-2025-61787")],
    "2026-27190": [(CHILDREN, "CVE-2026-27190")],
    "2026-44726": [(CONNECTION, "CVE-2026-44726")],
    "2026-49401": [because("macOS only: Linux compares names by their bytes")],
    "2026-49406": [(INTERNALS, "CVE-2026-49406")],
    "2026-49859": [(REQUEST, "CVE-2026-49859"), (FETCH, "CVE-2026-49859")],
    "2026-49860, 2026-55517": [(INTERNALS, "49860 WebSocket")],
    "2026-49983": [(INTERNALS, "CVE-2026-49983")],
    "#35239": [(CONFINED, "deno #35239")],
    "#34393": [(CONFINED, "/proc/1/root/etc/passwd")],
    "#34395, #35564, #35835": [(NETWORK, "deno #34395"), (NETWORK, "deno #35835")],
    "#33203, #33223": [(NETWORK, "deno #33203, #33223")],
    "#35241, #36217": [(NETWORK, "deno #35241, #36217")],
    "#36497": [(CONFINED, "deno #36497")],
    "#36486": [(INTERNALS, "deno #36486")],
    "#34707": [(INTERNALS, "deno #34707")],
    "#35882": [(INTERNALS, "deno #35882")],
    "#25370, #25221, #25271": [(CHILDREN, "deno #25370"), (CHILDREN, "deno #25221"),
                               (CHILDREN, "deno #25271")],
    "#36218": [(CONFINED, "/sys/kernel")],
    "#36222": [because("a tenant's umask is its own process's")],
    # isolates and host objects
    "isolated-vm 2021-21413, vm2 2026-24118": [(INTERNALS, "CVE-2021-21413")],
    "isolated-vm 2022-39266": [(INTERNALS, "CVE-2022-39266")],
    "vm2 2022-36067": [(INTERNALS, "CVE-2022-36067")],
    "vm2 2026-24781": [(INTERNALS, "CVE-2026-24781")],
    "vm2 2026-47210, 43997, 43998, 44005, 44006, 47131, 26332":
        [(INTERNALS, "CVE-2026-47210"), (CONFINED, "own symlink out of a folder")],
    "vm2 2026-26956": [because("no second realm whose functions WebAssembly could reach; V8 is "
                               "taken as broken anyway")],
    "workerd 2023-2512": [(INTERNALS, "CVE-2023-2512")],
    # exhaustion
    "memory: buffers, arrays, strings, WebAssembly, JSON":
        [(BOMBS, name) for name in ("arraybuffer", "shared", "growth", "array", "string", "wasm",
                                    "json")] + [(RUN, "test_the_heap_limit")],
    "time: loops, microtasks, ticks, timers, promises, regexps, Atomics.wait, recursion":
        [(BOMBS, name) for name in ("loop", "microtasks", "ticks", "timers", "promises", "regexp",
                                    "wait", "recursion")],
    "decompression bombs": [(FETCH, "test_a_bomb_ends_in_an_error"),
                            (RESPONSE, "test_decompression_bombs_are_bounded")],
    "processes, threads, descriptors, sockets":
        [(JOB, "test_a_fork_bomb_is_contained"), (JOB, "test_descriptors"),
         (NET, "test_a_hundred_connections_at_once"), (EGRESS, "test_concurrent_and_rate_limits")],
    "disk and output": [(FS, "test_tmp_is_private_and_limited"), (BOMBS, "output"),
                        (SERVE, "test_logs_are_escaped_and_limited")],
    "slow and huge requests": [("test/unit/http_server_test.py", "slow"),
                               ("test/unit/http_server_test.py", "header")],
    "a process that ignores SIGTERM, a crash loop":
        [(BOMBS, "sigterm"), (SERVE, "test_backoff_after_failures")],
    "core dumps": [(SANDBOX, "no_dumps_and_no_new_privileges")],
}


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def attacks_of_rows():
    """The numbers of attacks in the table, by row."""
    found = {}
    for path in ("test/escape/attack.c",):
        source = text_of(path)
        table = source[source.index("const struct attack attacks[]"):]
        for row in re.findall(r'"(E\d\d)"', table):
            found[row] = found.get(row, 0) + 1
        found["E14"] = found.get("E14", 0) + len(re.findall(r"\bSOCKET\(|\bOWN_SOCKET\(", table))
        found["E16"] = found.get("E16", 0) + len(re.findall(r"\bPROBE\w*\(", table))
    return found


def missing(row, references):
    """What ROW names and is not there."""
    return [f"{row}: {path} has no {name!r}" for path, name in references
            if path != "because" and (not os.path.exists(os.path.join(ROOT, path))
                                      or name not in text_of(path))]


def check():
    attacks, bad = attacks_of_rows(), []
    print("CLASS  attacks  tests  what")
    for row in (f"E{number:02}" for number in range(1, 27)):
        if row not in CLASSES:
            bad.append(f"{row} is not in the table")
            continue
        what, references = CLASSES[row]
        tests = [one for one in references if one[0] != "because"]
        bad += missing(row, references)
        if not attacks.get(row) and row not in NO_ATTACKS:
            bad.append(f"{row} has no attack")
        if not attacks.get(row) and not tests:
            bad.append(f"{row} is tried by nothing")
        print(f"{row}    {attacks.get(row, 0):7}  {len(tests):5}  {what}")
    for row, references in RUNTIMES.items():
        bad += missing(row, references)
        if not references:
            bad.append(f"{row} is tried by nothing")
    reasons = [row for row, references in RUNTIMES.items()
               if all(one[0] == "because" for one in references)]
    print(f"{len(RUNTIMES)} rows of other runtimes' escapes: {len(RUNTIMES) - len(reasons)} tried, "
          f"{len(reasons)} that cannot apply")
    for row in reasons:
        print(f"    {row}: {RUNTIMES[row][0][1]}")
    for line in bad:
        print("MISSING", line)
    return not bad


def run(build):
    """Everything, with the matrix. Returns whether all of it held."""
    held = check()
    lines = []
    for command in (
            [os.path.join(build, "sandbox_attack_test")],
            ["python3", "-m", "unittest", "escape_test", "escape_js_test"]):
        done = subprocess.run(command, cwd=os.path.join(ROOT, "test/integration"), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                              env={**os.environ, "TENANTD_BUILD": build})
        held = held and done.returncode == 0
        if "unittest" not in command or done.returncode != 0:
            print(done.stdout)
        lines += re.findall(r"^(?:MATRIX|BATTERY) .*|^\w+: \d+ ways tried.*|^Ran \d+ tests.*",
                            done.stdout, re.M)
    print("\n".join(lines))
    print("the escape battery " + ("held" if held else "FAILED"))
    return held


def main():
    if sys.argv[1:2] == ["run"]:
        return 0 if run(os.path.abspath((sys.argv[2:] or [ROOT + "/build/release"])[0])) else 1
    return 0 if check() else 1


if __name__ == "__main__":
    sys.exit(main())
