# What the daemon knows and keeps to itself: secrets, the audit log; and what is made of
# it: a suggested policy. The probe of `tenantctl doctor`.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
foreach(name secrets audit tier)
  add_executable(daemon_${name}_test ${CMAKE_CURRENT_LIST_DIR}/daemon_${name}_test.c)
  target_link_libraries(daemon_${name}_test PRIVATE daemon PkgConfig::CMOCKA)
  add_test(NAME daemon_${name} COMMAND daemon_${name}_test)
endforeach()
add_executable(policy_suggest_test ${CMAKE_CURRENT_LIST_DIR}/policy_suggest_test.c)
target_link_libraries(policy_suggest_test PRIVATE policy PkgConfig::CMOCKA)
add_test(NAME policy_suggest COMMAND policy_suggest_test)
add_executable(sandbox_probe_test ${CMAKE_CURRENT_LIST_DIR}/sandbox_probe_test.c)
target_link_libraries(sandbox_probe_test PRIVATE sandbox PkgConfig::CMOCKA)
add_test(NAME sandbox_probe COMMAND sandbox_probe_test)
