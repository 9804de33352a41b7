# What a zygote does with its pages before it forks. Beside the engine, whose code moves.
add_executable(fork_pages_test fork_pages_test.c ${CMAKE_SOURCE_DIR}/isolate/fork_pages.c)
target_link_libraries(fork_pages_test PRIVATE engine_harness common)
# Not under the sanitizers, whose shadow memory no rehearsal can learn.
if(NOT TENANTD_SANITIZE)
  add_test(NAME fork_pages COMMAND fork_pages_test)
endif()
