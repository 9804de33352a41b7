pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(daemon_slice_test ${CMAKE_CURRENT_LIST_DIR}/daemon_slice_test.c)
target_link_libraries(daemon_slice_test PRIVATE daemon PkgConfig::CMOCKA)
add_test(NAME daemon_slice COMMAND daemon_slice_test)
