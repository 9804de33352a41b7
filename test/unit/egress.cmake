# The matcher, the messages, and the supervisor's side with the real process.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(policy_match_test ${CMAKE_CURRENT_LIST_DIR}/policy_match_test.c)
target_link_libraries(policy_match_test PRIVATE policy PkgConfig::CMOCKA)
add_test(NAME policy_match COMMAND policy_match_test)

add_executable(egress_parts_test ${CMAKE_CURRENT_LIST_DIR}/egress_parts_test.c)
target_link_libraries(egress_parts_test PRIVATE egress PkgConfig::CMOCKA)
add_test(NAME egress_parts COMMAND egress_parts_test)

# Starts the process, as root.
add_executable(daemon_egress_test ${CMAKE_CURRENT_LIST_DIR}/daemon_egress_test.c)
target_link_libraries(daemon_egress_test PRIVATE daemon PkgConfig::CMOCKA)
add_test(NAME daemon_egress COMMAND daemon_egress_test $<TARGET_FILE:tenantd-egress>)
