pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

# What an attacker does: also for a test-only worker.
set(escape ${CMAKE_SOURCE_DIR}/test/escape)
add_library(attack STATIC
  ${escape}/attack.c ${escape}/attack_files.c ${escape}/attack_grants.c ${escape}/attack_kernel.c
  ${escape}/attack_network.c ${escape}/attack_processes.c)

add_library(sandbox_harness STATIC ${CMAKE_CURRENT_LIST_DIR}/sandbox_harness.c)
target_link_libraries(sandbox_harness PUBLIC attack sandbox common)

add_library(sandbox_grant_world STATIC ${CMAKE_CURRENT_LIST_DIR}/sandbox_grant_world.c)
target_link_libraries(sandbox_grant_world PUBLIC sandbox_harness PkgConfig::CMOCKA)

foreach(name sandbox sandbox_attack sandbox_container sandbox_grant sandbox_grant_owners sandbox_grant_paths
    sandbox_grant_tmp sandbox_pool seccomp cgroup cgroup_layout)
  add_executable(${name}_test ${CMAKE_CURRENT_LIST_DIR}/${name}_test.c)
  target_link_libraries(${name}_test PRIVATE sandbox_harness PkgConfig::CMOCKA Threads::Threads)
  add_test(NAME ${name} COMMAND ${name}_test)
  # They start processes and count what is left; two at a time would see each other's.
  set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE TIMEOUT 120)
endforeach()

foreach(name grant grant_owners grant_paths grant_tmp)
  target_link_libraries(sandbox_${name}_test PRIVATE sandbox_grant_world)
endforeach()

# Some four thousand processes, each confined.
set_tests_properties(sandbox_attack PROPERTIES TIMEOUT 300)

pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
target_link_libraries(sandbox_pool_test PRIVATE PkgConfig::UV)

# Once more with the v2 tree of a hybrid host hidden.
add_test(NAME cgroup_v1 COMMAND cgroup_test v1)
set_tests_properties(cgroup_v1 PROPERTIES RUN_SERIAL TRUE TIMEOUT 120)
