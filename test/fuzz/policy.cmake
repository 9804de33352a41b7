pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
add_executable(policy_fuzz ${CMAKE_CURRENT_LIST_DIR}/policy_fuzz.c)
target_link_libraries(policy_fuzz PRIVATE policy PkgConfig::JANSSON -fsanitize=fuzzer)
# Without a fuzzing run: every input that was kept must still pass.
add_test(NAME fuzz_policy
  COMMAND policy_fuzz -runs=0 ${CMAKE_CURRENT_LIST_DIR}/corpus/policy ${CMAKE_CURRENT_LIST_DIR}/../policy)
