pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(store_test ${CMAKE_CURRENT_LIST_DIR}/store_test.c)
target_link_libraries(store_test PRIVATE deploy PkgConfig::CMOCKA)
add_test(NAME store COMMAND store_test)
