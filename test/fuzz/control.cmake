add_executable(control_fuzz ${CMAKE_CURRENT_LIST_DIR}/control_fuzz.c)
target_link_libraries(control_fuzz PRIVATE daemon -fsanitize=fuzzer)
add_test(NAME fuzz_control COMMAND control_fuzz -runs=0 ${CMAKE_CURRENT_LIST_DIR}/corpus/control)
