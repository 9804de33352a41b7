pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(manifest_asks_test ${CMAKE_CURRENT_LIST_DIR}/manifest_asks_test.c)
target_link_libraries(manifest_asks_test PRIVATE policy PkgConfig::CMOCKA)
add_test(NAME manifest_asks COMMAND manifest_asks_test)
