add_executable(protocol_fuzz ${CMAKE_CURRENT_LIST_DIR}/protocol_fuzz.c)
target_link_libraries(protocol_fuzz PRIVATE common -fsanitize=fuzzer)
# Without a fuzzing run: every input that was kept must still pass.
add_test(NAME fuzz_protocol
  COMMAND protocol_fuzz -runs=0 ${CMAKE_CURRENT_LIST_DIR}/corpus/protocol)
