# Sites, the parsers of tenantd-ingress and its table, and the supervisor's side with the
# real process.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(common_site_test ${CMAKE_CURRENT_LIST_DIR}/common_site_test.c)
target_link_libraries(common_site_test PRIVATE common PkgConfig::CMOCKA)
add_test(NAME common_site COMMAND common_site_test)

add_executable(ingress_parts_test ${CMAKE_CURRENT_LIST_DIR}/ingress_parts_test.c)
target_link_libraries(ingress_parts_test PRIVATE ingress PkgConfig::CMOCKA)
add_test(NAME ingress_parts COMMAND ingress_parts_test)

# Starts the process, as root.
add_executable(daemon_ingress_test ${CMAKE_CURRENT_LIST_DIR}/daemon_ingress_test.c)
target_link_libraries(daemon_ingress_test PRIVATE daemon PkgConfig::CMOCKA)
add_test(NAME daemon_ingress COMMAND daemon_ingress_test $<TARGET_FILE:tenantd-ingress>)
